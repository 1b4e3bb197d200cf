// How a trust domain stands before a rotation: what signs, who holds what, and what speaks against changing it now.
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import { HolderKind, Proof } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { CountHoldingsResponse, Holding } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import { reasonOf } from '../failures.ts';
import { askTier } from './ask-tier.ts';
import { readAuthorities } from './authorities.ts';
import { allHoldings, nameOf } from './judge-claim.ts';
import type { Finding, RotationRequest, ServerAuthorities, Survey } from './rotation.ts';
import type { Tier, Topology } from './topology.ts';

export interface SurveyOptions {
  readonly source: X509Source;
  readonly topology: Topology;
  readonly request: Omit<RotationRequest, 'plan' | 'topology'>;
  readonly clock: () => number;
}

/** Of many holders with the same fault this many are named. */
const mostNamed = 10;

export async function surveyTrust(options: SurveyOptions): Promise<Survey> {
  const tiers = await Promise.all(options.topology.tiers.map((tier) => surveyTier(options, tier)));
  const authorities = tiers.flatMap((one) => one.authorities);
  return {
    authorities,
    findings: [...tiers.flatMap(({ findings }) => findings), ...latticeFindings(options.topology, authorities)],
    holders: tiers.map(({ holders }) => holders),
    expectations: expectationsOf(
      options,
      tiers.map(({ plainAgents }) => plainAgents).reduce((a, b) => a + b, 0),
      authorities,
    ),
  };
}

interface SurveyedTier {
  readonly authorities: readonly ServerAuthorities[];
  readonly findings: readonly Finding[];
  readonly holders: Survey['holders'][number];
  readonly plainAgents: number;
}

async function surveyTier(options: SurveyOptions, tier: Tier): Promise<SurveyedTier> {
  const { source, topology, request, clock } = options;
  const blocker = (what: string): Finding => ({ severity: 'blocker', tier: tier.name, what });
  const findings: Finding[] = [];
  const authorities: ServerAuthorities[] = [];
  await Promise.all(
    tier.servers.map(async (server) => {
      try {
        const asked = { trustDomain: topology.trustDomain, tier: tier.name, server, kind: request.kind };
        authorities.push(await readAuthorities(source, asked));
      } catch (cause) {
        findings.push(blocker(`server ${server.name} at ${server.address} does not answer: ${reasonOf(cause)}`));
      }
    }),
  );
  const order = (one: ServerAuthorities): number => tier.servers.findIndex(({ name }) => name === one.server.name);
  authorities.sort((a, b) => order(a) - order(b));
  const none = { tier: tier.name, servers: 0, agents: 0, downstreams: 0, streams: 0 };
  try {
    const asked = clock();
    const { counted, holdings } = await askTier(source, topology.trustDomain, tier, async (server) => ({
      counted: await server.fleet.countHoldings({ authorityId: '' }),
      holdings: await allHoldings(server),
    }));
    const skew = clockFinding(counted.nowMs, asked, clock(), request);
    findings.push(
      ...(skew === undefined ? [] : [blocker(`the server's clock ${skew}`)]),
      ...replicaFindings(tier, counted).map(blocker),
      ...holderFindings(holdings, request, clock()).map(blocker),
      ...taintedFindings(counted, request).map(blocker),
    );
    const plainAgents = holdings.filter(
      ({ kind, reportedAtMs }) => kind === HolderKind.AGENT && reportedAtMs === 0,
    ).length;
    if (plainAgents > 0) {
      const what = `${plainAgents} agents report nothing (plain SPIRE): what they hold is waited for until it has ended`;
      findings.push({ severity: 'warning', tier: tier.name, what });
    }
    return { authorities, findings, holders: { ...none, ...countsOf(counted) }, plainAgents };
  } catch (cause) {
    findings.push(blocker(`nobody can be asked who holds what: ${reasonOf(cause)}`));
    return { authorities, findings, holders: none, plainAgents: 0 };
  }
}

function countsOf({ kinds }: CountHoldingsResponse) {
  const of = (kind: HolderKind): number => kinds.find((one) => one.kind === kind)?.total ?? 0;
  return {
    servers: of(HolderKind.SERVER),
    agents: of(HolderKind.AGENT),
    downstreams: of(HolderKind.DOWNSTREAM),
    streams: kinds.reduce((sum, { streams }) => sum + streams, 0),
  };
}

/** A server that nobody named keeps an authority that nobody replaces. */
function replicaFindings({ servers }: Tier, { kinds }: CountHoldingsResponse): string[] {
  const live = kinds.find(({ kind }) => kind === HolderKind.SERVER)?.total ?? 0;
  if (live === servers.length) return [];
  return [
    `${live} servers are on the tier's database, and ${servers.length} are named: ${servers.map(({ name }) => name).join(', ')}`,
  ];
}

function holderFindings(holdings: readonly Holding[], request: SurveyOptions['request'], now: number): string[] {
  const named = (what: string, of: readonly Holding[]): string[] => {
    if (of.length === 0) return [];
    const ids = of.slice(0, mostNamed).map((one) => nameOf(one).id);
    return [`${of.length} holders ${what}: ${ids.join(', ')}${of.length > mostNamed ? ', …' : ''}`];
  };
  const reporting = holdings.filter(({ reportedAtMs }) => reportedAtMs > 0);
  const isGone = ({ proof }: Holding): boolean => proof === Proof.PROOF_AGED_OUT;
  const maxSkewMs = parseDuration(request.policy.maxClockSkew);
  const { x509SvidTtlMs } = request;
  return [
    ...named(
      'have missed their reports',
      reporting.filter((one) => one.silent && !isGone(one)),
    ),
    ...named(
      'do not have the bundle as it is',
      holdings.filter((one) => one.proof === Proof.PROOF_NONE && one.reportedAtMs > 0),
    ),
    ...named(
      `have clocks that are off by more than ${request.policy.maxClockSkew}`,
      reporting.filter(({ clockSkewMs }) => Math.abs(clockSkewMs) > maxSkewMs),
    ),
    // Half a life is when an SVID is renewed: one that is much older belongs to an agent that cannot renew.
    ...(x509SvidTtlMs === undefined
      ? []
      : named(
          'have SVIDs that are well over half their life and were not renewed',
          reporting.filter(
            ({ kind, own }) =>
              kind === HolderKind.AGENT && own !== undefined && own.earliestNotAfter * 1000 - now < x509SvidTtlMs * 0.3,
          ),
        )),
  ];
}

function clockFinding(
  nowMs: number,
  before: number,
  after: number,
  { policy }: SurveyOptions['request'],
): string | undefined {
  const maxSkewMs = parseDuration(policy.maxClockSkew);
  const off = nowMs < before ? nowMs - before : nowMs > after ? nowMs - after : 0;
  return Math.abs(off) > maxSkewMs ? `is off by ${off} ms, and ${policy.maxClockSkew} is allowed` : undefined;
}

function taintedFindings(
  { authorities }: CountHoldingsResponse,
  { kind, resume, operation }: SurveyOptions['request'],
): string[] {
  if (resume || operation === 'distrustAuthority') return [];
  return authorities
    .filter(({ tainted, published, jwt }) => tainted && published && jwt === (kind === 'jwt'))
    .map(({ authorityId }) => `authority ${authorityId} is tainted and not revoked: go on with that by "resume": true`);
}

/** A CA that outlives the one above it can sign what nobody accepts. */
function latticeFindings({ tiers }: Topology, authorities: readonly ServerAuthorities[]): Finding[] {
  return tiers.flatMap(({ name, parent }) => {
    const above = authorities.filter(({ tier }) => tier === parent);
    const end = Math.max(...above.map(({ active }) => Date.parse(active.expiresAt)));
    return authorities
      .filter(({ tier, active }) => tier === name && above.length > 0 && Date.parse(active.expiresAt) > end)
      .map(({ server, active }) => ({
        severity: 'warning' as const,
        tier: name,
        what: `the CA of ${server.name} ends at ${active.expiresAt}, after the one above it`,
      }));
  });
}

/** By today's figures; seconds. */
function expectationsOf(
  { request, clock }: SurveyOptions,
  plainAgents: number,
  authorities: readonly ServerAuthorities[],
): Survey['expectations'] {
  const ttl = (request.x509SvidTtlMs ?? 3_600_000) / 1000;
  const said = request.x509SvidTtlMs === undefined ? 'an hour, as nobody said otherwise' : `${ttl} s`;
  const half = Math.ceil(ttl / 2);
  const held =
    plainAgents === 0
      ? { claim: 'held' as const, seconds: 5, why: 'everybody hears of it by push' }
      : {
          claim: 'held' as const,
          seconds: half,
          why: `${plainAgents} plain SPIRE agents show it by their next SVID, at half its life of ${said}`,
        };
  const natural = request.policy.soak === 'natural' && request.kind === 'x509';
  const moved = natural
    ? { claim: 'moved' as const, seconds: Math.ceil(ttl * 0.6), why: `SVIDs are renewed at half their life of ${said}` }
    : { claim: 'moved' as const, seconds: 5, why: 'the taint makes everybody renew at once' };
  const end = Math.min(...authorities.map(({ active }) => Date.parse(active.expiresAt)));
  const ended =
    request.policy.agedOut === 'shorten'
      ? { claim: 'ended' as const, seconds: 0, why: 'the policy does not wait for what nobody can be asked about' }
      : {
          claim: 'ended' as const,
          seconds: Math.ceil(Math.min(ttl, Math.max(0, (end - clock()) / 1000))),
          why: `what was signed last lives for ${said}`,
        };
  const told = 'everybody hears of it by push';
  return [held, moved, { claim: 'tainted', seconds: 5, why: told }, ended, { claim: 'gone', seconds: 5, why: told }];
}
