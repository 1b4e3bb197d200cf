// Which versions may meet. SPIRE's rule, which its users know: a server is never older than its agents, and at most one minor version newer; so servers
// are upgraded first. https://spiffe.io/docs/latest/spire-about/upgrading/ (source: SPIRE's doc/upgrading.md)
import { HolderKind } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import type { Finding } from '../trust/rotation.ts';
import { listHoldings } from '../trust/judge-claim.ts';
import { versionPattern } from './check-rollout.ts';

/** What our server says of itself: SPIRE's version whose surface it has, then its own. */
const ownPart = /-espalier-(.+)$/;

/** By name, of the servers of a tier that are alive. */
export async function serverVersions(server: Pick<SpireServer, 'fleet'>): Promise<ReadonlyMap<string, string>> {
  const versions = new Map<string, string>();
  for await (const { id, version } of listHoldings(server, { kinds: [HolderKind.SERVER] })) versions.set(id, version);
  return versions;
}

/** `version`: that of the agents. */
export function skewFindings(tier: string, servers: ReadonlyMap<string, string>, version: string): Finding[] {
  return [...servers].flatMap(([name, said]) => {
    const what = skewOf(ownPart.exec(said)?.[1] ?? said, version);
    return what === undefined
      ? []
      : [
          {
            severity: 'blocker' as const,
            tier,
            what: `server ${name} runs ${said}, agents are to have ${version}: ${what}`,
          },
        ];
  });
}

function skewOf(server: string, agent: string): string | undefined {
  const [ofServer, ofAgent] = [numbersOf(server), numbersOf(agent)];
  if (ofServer === undefined) return 'its version cannot be compared';
  if (ofAgent === undefined) return 'their version cannot be compared';
  const newer = ofAgent.findIndex((number, index) => number !== ofServer[index]);
  if (newer >= 0 && (ofAgent[newer] ?? 0) > (ofServer[newer] ?? 0))
    return 'agents are never newer, so the servers go first';
  const [major, minor] = ofServer;
  if (major !== ofAgent[0] || (minor ?? 0) - (ofAgent[1] ?? 0) > 1) return 'agents are at most one minor version older';
  return undefined;
}

function numbersOf(version: string): readonly number[] | undefined {
  return versionPattern.exec(version)?.slice(1, 4).map(Number);
}
