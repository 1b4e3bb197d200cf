// Whom a workload admits, as a file that may change while it runs: a list of SPIFFE IDs, some of whose segments may be left open. What is not listed
// is refused; a file that cannot be used changes nothing.
import { readFileSync, statSync } from 'node:fs';
import * as z from 'zod';
import type { RpcLog } from '../rpc/call-context.ts';
import { checkPathSegment, idScheme, splitId } from '../spiffe/id-text.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import { WorkloadError } from './errors.ts';

/** Whether the peer with this ID is admitted. */
export type Authorize = (id: SpiffeId) => boolean;

const document = z.strictObject({ allow: z.array(z.string()) });

/** `*` stands for one whole segment; `**`, as the last one, for one or more. */
interface Pattern {
  readonly trustDomain: string;
  readonly segments: readonly string[];
}

/** Of `{"allow": ["spiffe://example.org/prod/*\/payments/api"]}`. Throws a WorkloadError that names every fault. */
export function parsePeerPolicy(text: string): Authorize {
  const faults: string[] = [];
  const patterns = readAllowed(text).flatMap((allowed, index) => {
    try {
      return [parsePattern(allowed)];
    } catch (error) {
      faults.push(`allow[${index}] ${JSON.stringify(allowed)}: ${(error as Error).message}`);
      return [];
    }
  });
  if (faults.length > 0) throw refuse(faults.join('; '));
  return (id) => patterns.some((pattern) => matches(pattern, id));
}

function readAllowed(text: string): readonly string[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw refuse('it is not JSON', cause);
  }
  const result = document.safeParse(json);
  if (result.success) return result.data.allow;
  throw refuse(result.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`).join('; '));
}

function parsePattern(text: string): Pattern {
  const { name, path } = splitId(text);
  const { name: trustDomain } = parseTrustDomain(name);
  if (!path.startsWith('/')) throw new Error('has no path: nobody but a server CA has such an ID');
  const segments = path.slice(1).split('/');
  for (const [index, segment] of segments.entries()) {
    if (segment === '**' && index === segments.length - 1) continue;
    if (segment === '**') throw new Error('"**" may only be the last segment');
    if (segment !== '*') checkPathSegment(segment);
  }
  return { trustDomain, segments };
}

function matches({ trustDomain, segments }: Pattern, id: SpiffeId): boolean {
  if (id.trustDomain.name !== trustDomain || id.path === '') return false;
  const actual = id.path.slice(1).split('/');
  const isOpen = segments.at(-1) === '**';
  if (isOpen ? actual.length < segments.length : actual.length !== segments.length) return false;
  return segments.every((segment, index) => segment === '**' || segment === '*' || segment === actual[index]);
}

export interface PeerPolicyFile {
  readonly authorize: Authorize;
  /** No more changes are read. */
  readonly close: () => void;
}

export interface PeerPolicyFileOptions {
  readonly path: string;
  readonly log?: RpcLog;
  /** How often the file is looked at (ms). */
  readonly intervalMs?: number;
}

/** Throws where the file cannot be used now; later it only says so and goes on with what it had. */
export function openPeerPolicy({ path, log, intervalMs = 1_000 }: PeerPolicyFileOptions): PeerPolicyFile {
  // Before it is read: what changes in between is read again, never missed.
  let seen = stampOf(path);
  let authorize = parsePeerPolicy(readFileSync(path, 'utf8'));
  const look = (): void => {
    const stamp = stampOf(path);
    if (stamp === seen) return;
    seen = stamp;
    try {
      authorize = parsePeerPolicy(readFileSync(path, 'utf8'));
    } catch (error) {
      log?.error({ err: error, path }, 'peer policy not reloaded; going on with the one before');
    }
  };
  const timer = setInterval(look, intervalMs);
  timer.unref();
  return { authorize: (id) => authorize(id), close: () => clearInterval(timer) };
}

/** Of the file as it is now: another one has another. */
function stampOf(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? 'missing' : `${found.ino} ${found.size} ${found.mtimeNs}`;
}

function refuse(reason: string, cause?: unknown): WorkloadError {
  const message = `peer policy cannot be used: ${reason} (want {"allow": ["${idScheme}…"]})`;
  return new WorkloadError('POLICY', message, cause === undefined ? {} : { cause });
}
