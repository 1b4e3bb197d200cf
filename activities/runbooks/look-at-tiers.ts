// How every tier stands: which servers answer, whether their datastore does, and which holders have fallen silent. Nothing that does not answer is an error
// here: it is what is looked for.
import { HolderKind, Proof } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { CountHoldingsResponse, Holding } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import { withServer } from '../clients/spire-server.ts';
import { reasonOf } from '../failures.ts';
import { readAuthorities } from '../trust/authorities.ts';
import { allHoldings, nameOf } from '../trust/judge-claim.ts';
import type { Tier, TierServer, Topology } from '../trust/topology.ts';
import { commonCauses } from './common-causes.ts';
import type { HolderLook, ServerLook, SilentHolder, TierLook } from './runbook.ts';

/** Histories are no place for thousands. */
const mostNamed = 20;
const nobody: HolderLook = { total: 0, silentCount: 0, silent: [], behindCount: 0, common: [] };

export function lookAtTiers(source: X509Source, { trustDomain, tiers }: Topology, now: number): Promise<TierLook[]> {
  return Promise.all(tiers.map((tier) => lookAtTier(source, trustDomain, tier, now)));
}

async function lookAtTier(source: X509Source, trustDomain: string, tier: Tier, now: number): Promise<TierLook> {
  const servers = await Promise.all(tier.servers.map((server) => lookAtServer(source, trustDomain, tier.name, server)));
  const look = { tier: tier.name, ...(tier.parent === undefined ? {} : { parent: tier.parent }), servers };
  const unseen = { agents: nobody, downstreams: nobody, unpublished: [] };
  const [answering] = servers.filter(({ answers }) => answers);
  if (answering === undefined) return { ...look, datastore: 'unknown', ...unseen };
  try {
    const asked = { trustDomain, address: answering.address };
    const { counted, holdings } = await withServer(source, asked, async (server) => ({
      counted: await server.fleet.countHoldings({ authorityId: '' }),
      holdings: await allHoldings(server),
    }));
    const of = (kind: HolderKind): HolderLook =>
      lookAtHolders(
        holdings.filter((one) => one.kind === kind),
        now,
      );
    return {
      ...look,
      datastore: 'answers',
      agents: of(HolderKind.AGENT),
      downstreams: of(HolderKind.DOWNSTREAM),
      unpublished: servers.filter((server) => isUnpublished(server, counted)).map(({ name }) => name),
    };
  } catch (cause) {
    return { ...look, datastore: 'away', datastoreSaid: reasonOf(cause), ...unseen };
  }
}

/** What it signs with it knows without its datastore. */
async function lookAtServer(
  source: X509Source,
  trustDomain: string,
  tier: string,
  server: TierServer,
): Promise<ServerLook> {
  const { name, address } = server;
  try {
    const { active } = await readAuthorities(source, { trustDomain, tier, server, kind: 'x509' });
    return { name, address, answers: true, authority: active };
  } catch (cause) {
    return { name, address, answers: false, said: reasonOf(cause) };
  }
}

/** Of an intermediate the bundle has the root above it. */
function isUnpublished({ authority }: ServerLook, { authorities }: CountHoldingsResponse): boolean {
  if (authority === undefined) return false;
  const root = authority.upstreamAuthorityId ?? authority.authorityId;
  return !authorities.some(({ authorityId, published }) => published && authorityId === root);
}

export function lookAtHolders(holdings: readonly Holding[], now: number): HolderLook {
  const reporting = holdings.filter(({ reportedAtMs }) => reportedAtMs > 0);
  const silent = reporting.filter((one) => one.silent);
  const ends = reporting.flatMap(({ own }) => (own === undefined ? [] : [own.earliestNotAfter * 1000]));
  const firstEnd = Math.min(...ends.filter((end) => end > now));
  return {
    total: holdings.length,
    silentCount: silent.length,
    silent: silent.slice(0, mostNamed).map(silentOf),
    behindCount: reporting.filter((one) => !one.silent && one.proof === Proof.PROOF_NONE).length,
    common: commonCauses(reporting, silent),
    ...(Number.isFinite(firstEnd) ? { firstEnd: new Date(firstEnd).toISOString() } : {}),
  };
}

function silentOf(holding: Holding): SilentHolder {
  const { version, reportedAtMs, own } = holding;
  const endsAt = own === undefined ? {} : { endsAt: new Date(own.latestNotAfter * 1000).toISOString() };
  return { id: nameOf(holding).id, version, heardAt: new Date(reportedAtMs).toISOString(), ...endsAt };
}
