// `espalier schedules apply` on a real Temporal server: what it makes runs by itself, a second time changes nothing, and what left the file goes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseTrustDomainSpec } from '../../activities/spec/check-spec.ts';
import { applySchedules, parseSchedules } from '../../workers/schedules.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import { spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';

const directory = mkdtempSync(join(tmpdir(), 'espalier-schedules-'));
const file = join(directory, 'schedules.yaml');
const parsed = parseTrustDomainSpec(spec);
let temporal: TestTemporal;
beforeAll(async () => {
  temporal = await startTestTemporal();
});
afterAll(async () => {
  await temporal.close();
  rmSync(directory, { recursive: true });
});

async function apply(text: string, trustDomain = 'example.org'): Promise<string[]> {
  writeFileSync(file, text);
  const said: string[] = [];
  const output = { write: (line: string) => void said.push(line.trim()) };
  await applySchedules({ client: temporal.environment.client, file, spec: { ...parsed, trustDomain }, output });
  return said;
}

const verification = '{ name: verification, workflow: verifyTrustDomain, cron: "*/30 * * * *" }';
const rehearsal = '{ name: rehearsal, workflow: rotateX509Authority, cron: "0 4 * * MON", input: { dryRun: true } }';

describe('schedules', () => {
  it('are made, left alone, changed and removed as the file has them', async () => {
    expect(await apply(`schedules: [${verification}, ${rehearsal}]`)).toEqual([
      'made verifyTrustDomain/example.org/verification',
      'made rotateX509Authority/example.org/rehearsal',
      '2 schedules of example.org',
    ]);
    expect(await apply('schedules: []', 'other.org')).toEqual(['0 schedules of other.org']);
    expect(await apply(`schedules: [${verification.replace('30', '20')}, ${rehearsal}]`)).toEqual([
      'changed verifyTrustDomain/example.org/verification',
      '2 schedules of example.org',
    ]);
    const ids = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const { scheduleId } of temporal.environment.client.schedule.list()) found.push(scheduleId);
      return found.sort();
    };
    // The list follows in a moment.
    await expect.poll(ids).toContain('rotateX509Authority/example.org/rehearsal');
    await apply(`schedules: [${verification}]`);
    await expect.poll(ids).toEqual(['verifyTrustDomain/example.org/verification']);
  });

  it('of somebody else are not touched', async () => {
    const { schedule } = temporal.environment.client;
    const id = 'verifyTrustDomain/foreign.example.org/verification';
    const action = {
      type: 'startWorkflow' as const,
      workflowType: 'verifyTrustDomain',
      taskQueue: 'control',
      args: [],
    };
    const foreign = await schedule.create({ scheduleId: id, spec: { intervals: [{ every: '9h' }] }, action });
    await expect(apply(`schedules: [${verification}]`, 'foreign.example.org')).rejects.toThrow(
      `schedule ${id} is there and was not made by espalier`,
    );
    await foreign.delete();
  });

  it('start what they say, with the specification beside the input', async () => {
    const world = createFakeWorld();
    const { schedule } = temporal.environment.client;
    await apply(`schedules: [${verification}]`, 'running.example.org');
    await temporal.withWorkers(world, async () => {
      await schedule.getHandle('verifyTrustDomain/running.example.org/verification').trigger();
      await expect.poll(() => world.calls, { timeout: 20_000 }).toContain('control planTrustDomain');
    });
  });
});

describe('a file of schedules', () => {
  it.each([
    ['schedules: [{ name: A, workflow: verifyTrustDomain, cron: "* * * * *" }]', 'schedules.0.name: must be 1 to 31'],
    [
      'schedules: [{ name: a, workflow: distrustAuthority, cron: "* * * * *" }]',
      'schedules.0.workflow: Invalid option',
    ],
    ['schedules: [{ name: a, workflow: verifyTrustDomain, cron: "daily" }]', 'schedules.0.cron: must have five fields'],
    [
      'schedules: [{ name: a, workflow: verifyTrustDomain, cron: "* * * * *", every: 1h }]',
      'Unrecognized key: "every"',
    ],
    [`schedules: [${verification}, ${verification}]`, 'duplicate name: verification'],
    ['[]', 'expected object'],
  ])('is refused: %s', (text, fault) => {
    expect(() => parseSchedules(text)).toThrow(fault);
  });
});
