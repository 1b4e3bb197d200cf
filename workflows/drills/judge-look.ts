// What a look says: whether everything is whole, and the things that drills expect to go on or to stop. Pure.
import type { DrillLook, IssuanceLook, Tried } from '../../activities/drills/drill.ts';
import { faultsOf, silenceOf } from '../runbooks/tiers.ts';
import type { Expectation } from './round.ts';

const works: Tried = { works: true };

/** Everything that is not as it should be, in words; none where all is whole. */
export function faultsOfLook(look: DrillLook): string[] {
  const { tiers, issuance, workloads, handshakes, refusals } = look;
  return [
    ...tiers.flatMap((tier) => [...faultsOf(tier), ...silenceOf(tier)]),
    ...issuance.flatMap((one) => failed(`tier ${one.tier} does not issue`, issues(one))),
    ...workloads.flatMap((one) => failed(`workload ${one.spiffeId}`, one)),
    ...handshakes.flatMap((one) => failed(`${one.from} does not reach ${one.to}`, one)),
    ...refusals.flatMap((one) => failed(`${one.spiffeId} is not seen to refuse a stranger`, one)),
  ];
}

function failed(what: string, { works: isFine, said = '' }: Tried): string[] {
  return isFine ? [] : [`${what}: ${said}`];
}

function issues({ x509, jwt }: IssuanceLook): Tried {
  return x509.works ? jwt : x509;
}

/** The first that does not work speaks for all; where there is none, nothing can be said. */
function all<T extends Tried>(tried: readonly T[], name: (one: T) => string): Tried | undefined {
  if (tried.length === 0) return undefined;
  const bad = tried.find((one) => !one.works);
  return bad === undefined ? works : { works: false, said: `${name(bad)}: ${bad.said ?? ''}` };
}

export function mtlsWorks(look: DrillLook, among: (id: string) => boolean = () => true): Tried | undefined {
  const pairs = look.handshakes.filter(({ from, to }) => among(from) && among(to));
  return all(pairs, ({ from, to }) => `${from} with ${to}`);
}

export function issuanceWorks({ issuance }: DrillLook, tier: string): Tried | undefined {
  const one = issuance.find((look) => look.tier === tier);
  return one === undefined ? undefined : issues(one);
}

/** What is seen of it; undefined while one of its servers answers. */
export function poolDown({ tiers }: DrillLook, name: string): string | undefined {
  const servers = tiers.find(({ tier }) => tier === name)?.servers ?? [];
  return servers.some(({ answers }) => answers) ? undefined : `no server of tier ${name} answers`;
}

export const keepsMtls: Expectation = {
  what: 'workloads of different clouds meet over mTLS, both ways',
  kind: 'keeps',
  works: (look) => mtlsWorks(look),
};

export const keepsRefusing: Expectation = {
  what: 'an identity that no workload admits is refused',
  kind: 'keeps',
  works: ({ refusals }) => all(refusals, ({ spiffeId }) => spiffeId),
};

export function keepsIssuing(tier: string): Expectation {
  return { what: `tier ${tier} issues X.509-SVIDs and JWT-SVIDs`, kind: 'keeps', works: (look) => issuanceWorks(look, tier) }; // prettier-ignore
}

export function stopsIssuing(tier: string): Expectation {
  const stopped = ({ issuance }: DrillLook): Tried | undefined => {
    const one = issuance.find((look) => look.tier === tier);
    return one === undefined ? undefined : { works: one.x509.works || one.jwt.works, said: one.x509.said };
  };
  return { what: `tier ${tier} issues`, kind: 'stops', works: stopped };
}
