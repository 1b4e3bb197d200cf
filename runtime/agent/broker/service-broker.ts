// espalier.service.v1.ServiceBroker: a service of this machine names a process that it runs for a customer or a tenant, and the process gets that
// identity. The agent knows both by attestation, the server decides. The identity comes back as an entry with the next sync, as any other does.
import type { ServiceBrokerService, ServiceIdentitiesService } from '../../../proto/gen/espalier/service/v1/service.ts';
import type { Logger } from '../../log.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import type { Client, Handlers } from '../../rpc/service.ts';
import {
  RpcError,
  failedPrecondition,
  invalidArgument,
  permissionDenied,
  statusCode,
  unavailable,
} from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/errors.ts';
import { parseSubject, serviceName } from '../../spiffe/service-id.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { WorkloadCache } from '../cache/svid-cache.ts';
import { refusalOf } from '../refusal.ts';
import type { AgentEntry } from '../sync/entry.ts';
import type { EntryDemand } from '../sync/demand.ts';
import { pidOf } from '../workload-api/admission.ts';
import type { Admission } from '../workload-api/admission.ts';
import type { Callers } from '../workload-api/caller.ts';

export type ServerSide = Pick<Client<typeof ServiceIdentitiesService>, 'deriveIdentity' | 'withdrawIdentity'>;

export interface ServiceBrokerOptions {
  readonly admission: Pick<Admission, 'admitKnown' | 'noIdentity'>;
  readonly callers: Pick<Callers, 'attestProcess'>;
  readonly cache: Pick<WorkloadCache, 'matching'>;
  readonly demand: EntryDemand;
  readonly server: () => ServerSide;
  readonly log: Logger;
}

const callMs = 30_000;
const message = { given: 'Service identity given', taken: 'Service identity withdrawn' };

export function createServiceBroker(options: ServiceBrokerOptions): Handlers<typeof ServiceBrokerService> {
  const { admission, callers, cache, demand, server, log } = options;

  return {
    async giveIdentity({ service, kind, id, pid }, context) {
      checkSubject(kind, id);
      if (pid <= 0) throw invalidArgument(`pid is ${pid}, want that of a process`);
      const entries = await serviceEntries(context, service);
      const selectors: Selector[] = await callers.attestProcess(pid);
      const { identity } = await askFor(entries, ({ id: templateEntryId }) =>
        server().deriveIdentity(
          { templateEntryId, kind, id, selectors },
          { signal: context.signal, deadlineMs: callMs },
        ),
      );
      if (identity?.spiffeId === undefined) throw unavailable('server sent no identity');
      const { spiffeId, entryId, expiresAt } = identity;
      const about = { spiffe_id: `spiffe://${spiffeId.trustDomain}${spiffeId.path}`, entry_id: entryId };
      log.info({ ...audited(context), ...about, process_pid: pid, selector_count: selectors.length }, message.given);
      // It is there when this is answered, unless the sync takes longer than a second.
      await demand.newerEntries(context.signal);
      return { spiffeId, entryId, expiresAt };
    },

    async takeIdentity({ service, kind, id, entryId }, context) {
      checkSubject(kind, id);
      const entries = await serviceEntries(context, service);
      const { withdrawn } = await askFor(entries, ({ id: templateEntryId }) =>
        server().withdrawIdentity(
          { templateEntryId, kind, id, entryId },
          { signal: context.signal, deadlineMs: callMs },
        ),
      );
      log.info({ ...audited(context), subject_kind: kind, subject_id: id, withdrawn }, message.taken);
      await demand.newerEntries(context.signal);
      return { withdrawn };
    },
  };

  /** The entries by which the caller is the service. What it says of itself chooses among them, and adds nothing. */
  async function serviceEntries(context: CallContext, named: string): Promise<readonly AgentEntry[]> {
    const selectors = await admission.admitKnown(context);
    const matching = cache.matching(selectors);
    if (matching.length === 0) throw admission.noIdentity(context, selectors);
    const services = matching.filter(({ spiffeId }) => serviceName(spiffeId) !== undefined);
    const names = [...new Set(services.map(({ spiffeId }) => serviceName(spiffeId)))].sort();
    if (names.length === 0) throw permissionDenied('caller is no service: its SPIFFE ID is not /service/<name>');
    if (named === '' && names.length > 1)
      throw invalidArgument(`caller is several services, name one of them: ${names.join(', ')}`);
    const held = services.filter(({ spiffeId }) => named === '' || serviceName(spiffeId) === named);
    if (held.length === 0) throw permissionDenied(`caller is not the service ${JSON.stringify(named)}`);
    return held;
  }
}

/** A service may have several entries; the first with a template answers. */
async function askFor<T>(entries: readonly AgentEntry[], ask: (entry: AgentEntry) => Promise<T>): Promise<T> {
  let last: unknown;
  for (const entry of entries) {
    try {
      return await ask(entry);
    } catch (error) {
      last = error;
      if (!(error instanceof RpcError) || error.code !== statusCode.NOT_FOUND) break;
    }
  }
  throw told(last);
}

/** The server's verdict is the service's to know; what it says of the agent itself is not. */
function told(error: unknown): RpcError {
  if (!(error instanceof RpcError)) return unavailable('server cannot be asked', { cause: error });
  const options = { cause: error };
  if (error.code === statusCode.UNIMPLEMENTED)
    return failedPrecondition('server has no service identities: it is plain SPIRE, or an older one', options);
  if (error.code === statusCode.NOT_FOUND)
    return permissionDenied('service has no template: an administrator has not let it give identities', options);
  if (refusalOf(error) !== undefined || !verdicts.has(error.code))
    return unavailable('server cannot be asked', options);
  return new RpcError(error.code, error.message, options);
}

const verdicts: ReadonlySet<number> = new Set([
  statusCode.ALREADY_EXISTS,
  statusCode.FAILED_PRECONDITION,
  statusCode.INVALID_ARGUMENT,
  statusCode.PERMISSION_DENIED,
  statusCode.RESOURCE_EXHAUSTED,
]);

function checkSubject(kind: string, id: string): void {
  try {
    parseSubject(kind, id);
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw invalidArgument(`invalid subject: ${cause.message}`, { cause });
  }
}

function audited(context: CallContext) {
  const { connection, method } = context;
  const caller = connection.transport === 'unix' ? { uid: connection.uid, gid: connection.gid } : {};
  return { type: 'audit', method, pid: pidOf(context), ...caller };
}
