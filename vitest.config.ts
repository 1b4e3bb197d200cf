// `npm test`: every test that needs nothing foreign built. `test/` mirrors the tree; peers, record, endurance and bench have entries of their own.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/postgres.ts'],
    exclude: ['test/peers/**', 'test/record/**', 'test/endurance/**', 'test/bench/**'],
    // A machine may be busy with other tests.
    expect: { poll: { timeout: 20_000 } },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Read by `.ci/run`, which adds the counts up.
    reporters: ['default', ['json', { outputFile: '.espalier/test-results/unit.json' }]],
  },
});
