// Which entry a service gets for a process that it runs for a customer or a tenant, and when it gets none. Pure: who asks was decided before, and
// what is there already is the store's to know.
import { permissionDenied } from '../../rpc/status.ts';
import type { Subject } from '../../spiffe/service-id.ts';
import { subjectId } from '../../spiffe/service-id.ts';
import { formatSelector, isSubset, sortSelectors } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { EntryRecord } from '../store/records.ts';
import { distinguishingValue } from './template.ts';
import type { ServiceTemplate } from './template.ts';

export interface DerivedEntry {
  readonly spiffeId: string;
  readonly parentId: string;
  readonly selectors: readonly Selector[];
  /** What no other identity on this node may have, `unix:uid:10001`. */
  readonly distinguisher: string;
  readonly x509SvidTtl: number;
  readonly jwtSvidTtl: number;
  readonly federatesWith: readonly string[];
  /** Unix seconds. */
  readonly expiresAt: number;
}

export interface DeriveRequest {
  readonly agentId: string;
  readonly subject: Subject;
  /** All that the process has. */
  readonly process: readonly Selector[];
  /** The service's own. */
  readonly entry: EntryRecord;
  readonly template: ServiceTemplate;
  /** All entries of this agent with the service's SPIFFE ID. */
  readonly serviceEntries: readonly EntryRecord[];
  readonly nowSeconds: number;
}

const everybody: ReadonlySet<string> = new Set(['unix:uid:0', 'unix:user:root']);

/** Throws PERMISSION_DENIED. */
export function deriveEntry(request: DeriveRequest): DerivedEntry {
  const { agentId, subject, process, entry, template, serviceEntries, nowSeconds } = request;
  if (!template.kinds.includes(subject.kind))
    throw permissionDenied(`service may not give identities of the kind ${subject.kind}`);
  const missing = template.selectors.find((selector) => !isSubset([selector], process));
  if (missing !== undefined) throw permissionDenied(`process lacks the selector ${formatSelector(missing)}`);
  // It would ask for others' identities itself.
  if (serviceEntries.some(({ selectors }) => isSubset(selectors, process)))
    throw permissionDenied('process holds the identity of the service itself');
  const by = template.distinguishedBy;
  const [distinguishing, ...others] = process.filter((selector) => distinguishingValue(selector, by) !== undefined);
  if (distinguishing === undefined) throw permissionDenied(`process has no selector ${by}`);
  if (others.length > 0) throw permissionDenied(`process has ${others.length + 1} selectors ${by}, want 1`);
  const distinguisher = formatSelector(distinguishing);
  if (everybody.has(distinguisher)) throw permissionDenied(`process has ${distinguisher}, who can be everybody`);

  const lease = nowSeconds + template.leaseSeconds;
  return {
    spiffeId: String(subjectId(parseSpiffeId(entry.spiffeId), subject)),
    parentId: agentId,
    selectors: sortSelectors([...template.selectors, distinguishing]),
    distinguisher,
    x509SvidTtl: shorter(template.x509SvidTtl, entry.x509SvidTtl),
    jwtSvidTtl: shorter(template.jwtSvidTtl, entry.jwtSvidTtl),
    federatesWith: entry.federatesWith,
    expiresAt: entry.expiresAt === 0 ? lease : Math.min(lease, entry.expiresAt),
  };
}

/** 0 is none. */
function shorter(a: number, b: number): number {
  return a === 0 || b === 0 ? a + b : Math.min(a, b);
}
