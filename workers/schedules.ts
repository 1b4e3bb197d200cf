// `espalier schedules apply`: what runs by itself. Makes, changes and removes schedules until Temporal has those of the file, and no others of ours.
import { readFileSync } from 'node:fs';
import { ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import type { Client, ScheduleOptions } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { parse } from 'yaml';
import { z } from 'zod';
import { digestOfJson } from '../activities/trust/canonical-json.ts';
import type { TrustDomainSpec } from '../activities/spec/trust-domain-spec.ts';
import { spiffeTrustDomain } from '../workflows/lib/search-attributes.ts';
import { workflowId } from '../workflows/lib/workflow-ids.ts';
import type { Output } from './up/progress-view.ts';

/** What may run with nobody there: an emergency, a bootstrap and a tear-down may not. */
export const schedulable = [
  'rotateX509Authority',
  'rotateJwtAuthority',
  'rotateUpstreamAuthority',
  'verifyTrustDomain',
  'scanExpiry',
  'snapshotTrust',
  // Refuses to break anything but the lab.
  'drill',
] as const;

const schema = z.strictObject({
  schedules: z.array(
    z.strictObject({
      name: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'must be 1 to 31 lower-case letters, digits and dashes'),
      workflow: z.enum(schedulable),
      /** Five fields, as cron has them; UTC. */
      cron: z.string().regex(/^\S+( \S+){4}$/, 'must have five fields, such as "0 4 * * MON"'),
      /** Beside the specification. */
      input: z.record(z.string(), z.unknown()).default({}),
      paused: z.boolean().default(false),
    }),
  ),
});

export type ScheduleFile = z.output<typeof schema>;

/** Throws with every fault, each with its place. */
export function parseSchedules(text: string): ScheduleFile {
  const parsed = schema.safeParse(parse(text), { reportInput: true });
  const faults = parsed.success ? [] : parsed.error.issues.map((one) => `${one.path.join('.')}: ${one.message}`);
  const names = (parsed.data?.schedules ?? []).map(({ name }) => name);
  faults.push(...names.filter((name, i) => names.indexOf(name) < i).map((name) => `duplicate name: ${name}`));
  if (parsed.success && faults.length === 0) return parsed.data;
  throw new Error(`the schedules have ${faults.length} fault(s):\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
}

export interface ApplySchedulesOptions {
  readonly client: Pick<Client, 'schedule'>;
  readonly file: string;
  readonly spec: TrustDomainSpec;
  readonly output: Output;
}

/** Safe to repeat: what is there as the file has it is left alone. */
export async function applySchedules({ client, file, spec, output }: ApplySchedulesOptions): Promise<void> {
  const wanted = new Map(parseSchedules(readFileSync(file, 'utf8')).schedules.map((one) => [idOf(one, spec), one]));
  const say = (what: string): void => void output.write(`${what}\n`);
  for (const [id, one] of wanted) {
    const options = optionsOf(id, one, spec);
    const digest = digestOf(options);
    const held = await heldDigest(client, id);
    if (held === digest) continue;
    const { scheduleId, memo, ...others } = { ...options, memo: { espalier: digest } };
    // A memo cannot be changed: what differs is made anew.
    if (held !== undefined) await client.schedule.getHandle(id).delete();
    await client.schedule.create({ scheduleId, memo, ...others });
    say(`${held === undefined ? 'made' : 'changed'} ${id}`);
  }
  const gone = (await listOurs(client, spec.trustDomain)).filter((id) => !wanted.has(id));
  for (const id of gone) {
    await client.schedule.getHandle(id).delete();
    say(`removed ${id}`);
  }
  say(`${wanted.size} schedules of ${spec.trustDomain}`);
}

/** What a schedule was made with; undefined where there is none. Throws where it is somebody else's. */
async function heldDigest({ schedule }: Pick<Client, 'schedule'>, id: string): Promise<string | undefined> {
  try {
    const digest: unknown = (await schedule.getHandle(id).describe()).memo?.['espalier'];
    if (typeof digest === 'string') return digest;
  } catch (cause) {
    if (cause instanceof ScheduleNotFoundError) return undefined;
    throw cause;
  }
  throw new Error(`schedule ${id} is there and was not made by espalier: remove it or give ours another name`);
}

/** Temporal lists what was made a moment ago a little later: what is removed may be, too. */
async function listOurs({ schedule }: Pick<Client, 'schedule'>, trustDomain: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { scheduleId, memo } of schedule.list()) {
    if (typeof memo?.['espalier'] === 'string' && scheduleId.split('/')[1] === trustDomain) ids.push(scheduleId);
  }
  return ids;
}

type Schedule = ScheduleFile['schedules'][number];

function idOf({ workflow, name }: Schedule, { trustDomain }: TrustDomainSpec): string {
  return workflowId(workflow, trustDomain, name);
}

/** Two of a kind never run at once, and after an outage only what was due in its last minutes is made up for. */
function optionsOf(id: string, { workflow, cron, input, paused }: Schedule, spec: TrustDomainSpec): ScheduleOptions {
  return {
    scheduleId: id,
    spec: { cronExpressions: [cron] },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '10 minutes' },
    action: {
      type: 'startWorkflow',
      workflowType: workflow,
      workflowId: id,
      taskQueue: 'control',
      args: [{ ...input, spec }],
    },
    state: { paused },
    typedSearchAttributes: new TypedSearchAttributes([{ key: spiffeTrustDomain, value: spec.trustDomain }]),
  };
}

function digestOf(options: ScheduleOptions): string {
  const { spec, policies, action, state } = options;
  return digestOfJson({ spec, policies, action, state });
}
