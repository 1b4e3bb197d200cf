// What the requests of rotations and runbooks have in common: where they are meant (a specification, or the servers themselves, tier by tier), who may
// approve, and how their faults are told.
import { z } from 'zod';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { parseSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { failure } from '../failures.ts';
import type { TrustDomainPlan } from '../plan.ts';
import type { RotationPolicy } from './rotation.ts';

export const duration = z.string().refine(isDuration, 'must be a duration with units, such as 30m');
export const spiffeId = z.string().refine(isSpiffeId, 'must be a SPIFFE ID');

export const topologySchema = z.strictObject({
  trustDomain: z.string(),
  tiers: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        parent: z.string().optional(),
        servers: z
          .array(z.strictObject({ name: z.string().min(1), address: z.string().min(1) }))
          .min(1, 'must name at least one server'),
      }),
    )
    .min(1, 'must name at least one tier'),
});

export interface AskedPlace {
  readonly spec?: unknown;
  readonly topology?: z.output<typeof topologySchema> | undefined;
}

export function placeFaults({ spec, topology }: AskedPlace): string[] {
  if ((spec === undefined) === (topology === undefined))
    return ['spec, topology: exactly one of the two must be given'];
  if (topology === undefined) return [];
  const { trustDomain, tiers } = topology;
  const before = new Set<string>();
  const faults = isTrustDomain(trustDomain)
    ? []
    : [`topology.trustDomain: must be a trust domain's name: ${JSON.stringify(trustDomain)}`];
  for (const [index, { name, parent }] of tiers.entries()) {
    const place = `topology.tiers.${index}`;
    if (before.has(name)) faults.push(`${place}.name: duplicate name: ${JSON.stringify(name)}`);
    if (index === 0 && parent !== undefined) faults.push(`${place}.parent: the first tier is the root and has none`);
    if (index > 0 && (parent === undefined || !before.has(parent)))
      faults.push(`${place}.parent: must name a tier before it: ${JSON.stringify(parent ?? null)}`);
    before.add(name);
  }
  return faults;
}

/** A signature is somebody's who is listed, and not the requester's. */
export function signatureFaults(
  { approvals, approvers }: Pick<RotationPolicy, 'approvals' | 'approvers'>,
  requester: string,
): string[] {
  if (approvals !== 'signed') return [];
  return [
    ...(approvers.length === 0 ? ['policy.approvers: must list who may approve where approvals are signed'] : []),
    ...(isSpiffeId(requester)
      ? []
      : [`requester: must be a SPIFFE ID where approvals are signed: ${JSON.stringify(requester)}`]),
  ];
}

export function tierNames({ upstream, segments }: TrustDomainPlan): string[] {
  return [upstream.name, ...segments.map(({ pool }) => pool.name)];
}

export function invalid(faults: readonly string[]) {
  const heading = `the request has ${faults.length} fault${faults.length === 1 ? '' : 's'}`;
  return failure('InvalidRequest', `${heading}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`, {
    details: [faults],
  });
}

function isDuration(text: string): boolean {
  return isParsed(() => parseDuration(text));
}

export function isSpiffeId(text: string): boolean {
  return isParsed(() => parseSpiffeId(text));
}

function isParsed(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false; // the caller words the fault
  }
}

function isTrustDomain(text: string): boolean {
  return !text.includes('/') && isParsed(() => parseTrustDomain(text));
}

/** What was said, to be laid over what holds where nothing is said. */
export function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
