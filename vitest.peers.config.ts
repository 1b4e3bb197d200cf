// `npm run peers`: the tests against programs that we did not write. They build what they need (Go, Python) on first use.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    pool: 'forks',
    // Most of their time they wait for programs: two files share two cores well.
    maxWorkers: 2,
    globalSetup: ['test/support/postgres.ts'],
    include: ['test/peers/**/*.test.ts'],
    // A machine may be busy with other tests.
    expect: { poll: { timeout: 20_000 } },
    testTimeout: 300_000,
    hookTimeout: 1_800_000,
    reporters: ['default', ['json', { outputFile: '.espalier/test-results/peers.json' }]],
  },
});
