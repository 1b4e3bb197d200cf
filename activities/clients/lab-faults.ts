// What the lab breaks on purpose, by its own interface: no cloud has one, so only drills ask for it, and only in the lab.
import { z } from 'zod';
import type { LabFault } from '../drills/drill.ts';
import type { FailureType } from '../failures.ts';
import { failure, reasonOf } from '../failures.ts';

export interface LabFaults {
  /** Throws Unsupported where the lab cannot break such things; returns what is broken already. */
  check(kinds: readonly LabFault['kind'][]): Promise<string[]>;
  ensure(fault: LabFault): Promise<void>;
  /** Content where there is no such fault. */
  remove(fault: LabFault): Promise<void>;
}

export interface LabFaultsOptions {
  readonly endpoint: string;
  /** Only where instances have a network of their own are there links to cut. */
  readonly isolation: 'none' | 'namespaces';
  /** The lab's owner's. */
  readonly token: string;
}

const faultsSchema = z.record(z.string(), z.array(z.record(z.string(), z.unknown())));
/** A unit may take its time to end. */
const patienceMs = 20_000;
/** What is not here is worth a retry. */
const types: Readonly<Record<number, FailureType>> = {
  400: 'InvalidRequest',
  401: 'PermissionDenied',
  403: 'PermissionDenied',
  404: 'InvalidRequest',
};

export function createLabFaults({ endpoint, isolation, token }: LabFaultsOptions): LabFaults {
  async function ask(method: string, path: string, body?: object) {
    const what = `lab: ${method} ${path}`;
    const response = await fetch(`${endpoint}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(patienceMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((cause: unknown) => {
      throw failure('Unavailable', `${what}: ${reasonOf(cause)}`);
    });
    const text = await response.text();
    if (!response.ok)
      throw failure(types[response.status] ?? 'Unavailable', `${what}: HTTP ${response.status}: ${text.trim()}`);
    return faultsSchema.parse(JSON.parse(text));
  }

  async function bring(fault: LabFault, isBroken: boolean): Promise<void> {
    if (fault.kind === 'link') {
      const { instance, other } = fault;
      await ask('POST', '/faults/links', { between: [instance, other], state: isBroken ? 'cut' : 'whole' });
      return;
    }
    const { instance, unit } = fault;
    await ask('POST', '/faults/programs', { instance, unit, state: isBroken ? 'killed' : 'running' });
  }

  return {
    async check(kinds) {
      if (kinds.includes('link') && isolation !== 'namespaces')
        throw failure(
          'Unsupported',
          'the lab cuts no links: its instances share this machine\u2019s network; start it with --isolation namespaces, as root',
        );
      const standing = await ask('GET', '/faults');
      return Object.entries(standing).flatMap(([kind, faults]) =>
        faults.map((fault) => `${kind}: ${JSON.stringify(fault)}`),
      );
    },
    ensure: (fault) => bring(fault, true),
    remove: (fault) => bring(fault, false),
  };
}
