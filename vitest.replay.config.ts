// The part of `npm run check` that replays every recorded history and looks for secrets in what they carry. Needs no server.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    pool: 'forks',
    fileParallelism: false,
    include: ['test/replay/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
