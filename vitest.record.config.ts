// `npm run record`: runs each workflow on a real dev server and saves its history under test/histories.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    pool: 'forks',
    fileParallelism: false,
    include: ['test/record/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
