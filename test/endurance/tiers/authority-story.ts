// One case: a forced rotation during which the server dies at the given place; it is started again, must be healthy within 15 s, nothing may be lost or
// signed by what nobody trusts, and the rotation can be brought to its end.
import type { Bundle } from '../../../proto/gen/spire/api/types/bundle.ts';
import { RpcError } from '../../../runtime/rpc/status.ts';
import type { AuthorityCase } from './authority-cases.ts';
import { bundleOf, checkSigning, eventually, idsOf, keyIdOf, spreadPatienceMs } from './held-and-signed.ts';
import type { Kind } from './held-and-signed.ts';
import type { TierServer } from './tier-server.ts';
import type { Tiers } from './tiers.ts';

const healPatienceMs = 15_000;
const deathPatienceMs = 30_000;
/** By any case: the word of it may reach a lower tier during a later one. */
const everRevoked = new Set<string>();

interface State {
  readonly authorityId: string;
}
interface States {
  readonly active: State | undefined;
  readonly prepared: State | undefined;
  readonly old: State | undefined;
}

export async function performAuthorityCase(
  { servers, agentBundles }: Pick<Tiers, 'servers' | 'agentBundles'>,
  { tier, point }: AuthorityCase,
  tell: (line: string) => void,
): Promise<void> {
  const victim = servers[tier];
  const kind: Kind = point.startsWith('jwt') ? 'jwt' : 'x509';
  const asked = point.startsWith('handOver') ? servers.replica : victim;
  const acts = actsOn(
    victim,
    asked,
    kind,
    tier === 'root' || kind === 'jwt',
    createProofs({ servers, agentBundles }, tier, kind),
  );
  await finish(acts); // what an earlier case that failed may have left
  const before = await bundleOf(victim);
  await victim.dieAt(point);
  const { oldest, drained, reached, death } = await dieRotating(victim, acts, point);
  if (death !== 'SIGKILL') throw new Error(`the server ended with ${death}, not at ${point}`);
  tell(`dead at ${point}, while asked to ${reached}`);

  const started = Date.now();
  await victim.restart();
  await eventually('healthy again', healPatienceMs - (Date.now() - started), async () => {
    if (!(await victim.isHealthy())) throw new Error('it is not serving');
  });
  tell(`healthy after ${Date.now() - started} ms`);

  const after = await bundleOf(victim);
  if (after.sequenceNumber < before.sequenceNumber)
    throw new Error(`the bundle's sequence fell from ${before.sequenceNumber} to ${after.sequenceNumber}`);
  if (reached === 'revoke') everRevoked.add(oldest.authorityId);
  checkNothingLost(before, after);
  await checkSigning(victim, servers.root);
  await checkSigning(servers.leaf, servers.root);
  await finish(acts, drained);
  await checkSigning(victim, servers.root);
  const last = await bundleOf(victim);
  if (
    acts.canRetire &&
    idsOf(last, kind).includes(oldest.authorityId) &&
    (await acts.states()).active?.authorityId !== oldest.authorityId
  )
    throw new Error(`the old authority ${oldest.authorityId} was not revoked`);
}

/** What an operator waits for, as every narrowing step would lock out whoever has not heard of the one before. */
interface Proofs {
  readonly held: (authorityId: string) => Promise<void>;
  /** What is to be known before the activation, for the proof after the taint. */
  readonly drained: () => Promise<Drained>;
}
type Drained = (authorityId: string, isTaintedAnew?: boolean) => Promise<void>;

function createProofs(
  { servers, agentBundles }: Pick<Tiers, 'servers' | 'agentBundles'>,
  tier: string,
  kind: Kind,
): Proofs {
  const below = [servers.middle, servers.leaf];
  const isRootAuthority = kind === 'x509' && tier === 'root';
  const serialsOf = async (): Promise<string[]> => {
    const lists = await Promise.all(
      [servers.root, servers.middle].map(({ agent }) =>
        agent.listAgents({ outputMask: undefined, pageSize: 0, pageToken: '', filter: undefined }),
      ),
    );
    return lists.flatMap(({ agents }) => agents.map(({ x509svidSerialNumber }) => x509svidSerialNumber));
  };
  return {
    async held(authorityId) {
      const holders = isRootAuthority ? below : kind === 'jwt' ? [servers.root] : [];
      await eventually(`${authorityId} is held`, spreadPatienceMs, async () => {
        for (const holder of holders) {
          if (!idsOf(await bundleOf(holder), kind).includes(authorityId)) throw new Error(`not by ${holder.name}`);
        }
        if (!isRootAuthority) return;
        for (const bundle of await agentBundles()) {
          if (!bundle.map(keyIdOf).includes(authorityId)) throw new Error('not by every agent');
        }
      });
    },
    async drained() {
      const before = isRootAuthority ? await serialsOf() : [];
      return async (old, isTaintedAnew = true) => {
        if (!isRootAuthority) return;
        await eventually(`nobody is under ${old}`, spreadPatienceMs, async () => {
          for (const server of below) {
            const { active } = await server.authority.getX509AuthorityState({});
            if (active?.upstreamAuthoritySubjectKeyId === old) throw new Error(`${server.name} is`);
          }
          if (!isTaintedAnew) return;
          const kept = (await serialsOf()).filter((serial) => before.includes(serial));
          if (kept.length > 0) throw new Error(`${kept.length} agents have their SVIDs of before`);
        });
      };
    },
  };
}

interface Acts {
  readonly proofs: Proofs;
  readonly canRetire: boolean;
  states(): Promise<States>;
  prepare(): Promise<string>;
  activate(authorityId: string): Promise<unknown>;
  taint(authorityId: string): Promise<unknown>;
  revoke(authorityId: string): Promise<unknown>;
  withdraw(authorityId: string): Promise<unknown>;
}

/** `asked` may be another replica than the owner, for all but prepare and show, which are about the server itself. */
function actsOn(owner: TierServer, asked: TierServer, kind: Kind, canRetire: boolean, proofs: Proofs): Acts {
  const [own, any] = [owner.authority, asked.authority];
  if (kind === 'x509') {
    return {
      proofs,
      canRetire,
      states: async () => statesOf(await own.getX509AuthorityState({})),
      prepare: async () => (await own.prepareX509Authority({})).preparedAuthority!.authorityId,
      activate: (authorityId) => any.activateX509Authority({ authorityId }),
      taint: (authorityId) => any.taintX509Authority({ authorityId }),
      revoke: (authorityId) => any.revokeX509Authority({ authorityId }),
      withdraw: (authorityId) => asked.fleet.withdrawAuthority({ authorityId, jwt: false }),
    };
  }
  return {
    proofs,
    canRetire,
    states: async () => statesOf(await own.getJwtAuthorityState({})),
    prepare: async () => (await own.prepareJwtAuthority({})).preparedAuthority!.authorityId,
    activate: (authorityId) => any.activateJwtAuthority({ authorityId }),
    taint: (authorityId) => any.taintJwtAuthority({ authorityId }),
    revoke: (authorityId) => any.revokeJwtAuthority({ authorityId }),
    withdraw: (authorityId) => asked.fleet.withdrawAuthority({ authorityId, jwt: true }),
  };
}

function statesOf({ active, prepared, old }: Partial<States>): States {
  return { active, prepared, old };
}

/** A step may be refused for a moment, as the server above was killed by the case before: then the rotation is ended and begun again. */
async function dieRotating(
  victim: TierServer,
  acts: Acts,
  point: string,
): Promise<{ oldest: State; drained: Drained; reached: string; death: string }> {
  for (const deadline = Date.now() + deathPatienceMs; ;) {
    const { active: oldest } = await acts.states();
    if (oldest === undefined) throw new Error('there is no active authority');
    const drained = await acts.proofs.drained();
    const { reached, refusal } = await (point.includes('withdraw')
      ? withdrawUntilDeath(acts)
      : rotateUntilDeath(acts, oldest.authorityId, drained));
    const death = await victim.death(2_000).catch((cause: unknown) => {
      if (Date.now() <= deadline) return undefined;
      const said = refusal === undefined ? 'which went through' : `which was refused: ${refusal.message}`;
      throw new Error(`it lives, never came to ${point}, and was last asked to ${reached}, ${said}`, { cause });
    });
    if (death !== undefined) return { oldest, drained, reached, death };
    await finish(acts, drained);
  }
}

/** What it was asked last, and what it said where that failed: the call of a server that dies fails, too. */
interface Attempt {
  readonly reached: string;
  readonly refusal?: RpcError;
}

async function withdrawUntilDeath(acts: Acts): Promise<Attempt> {
  const next = await acts.prepare();
  everRevoked.add(next);
  try {
    await acts.withdraw(next);
  } catch (error) {
    if (error instanceof RpcError) return { reached: 'withdraw', refusal: error };
    throw error;
  }
  return { reached: 'withdraw' };
}

async function rotateUntilDeath(acts: Acts, oldest: string, drained: Drained): Promise<Attempt> {
  let doing = 'prepare';
  try {
    const next = await acts.prepare();
    await acts.proofs.held(next);
    doing = 'activate';
    await acts.activate(next);
    if (acts.canRetire) {
      doing = 'taint';
      await acts.taint(oldest);
      await drained(oldest);
      doing = 'revoke';
      await acts.revoke(oldest);
    }
  } catch (error) {
    // Of a server that dies, or of a replica that asked it; any other failure shows itself in what is checked next.
    if (error instanceof RpcError) return { reached: doing, refusal: error };
    throw error;
  }
  return { reached: doing };
}

/** From wherever the rotation stands. What has been done already is no failure; a taint among it that this case did not see begin proves nothing of agents. */
async function finish(acts: Acts, begun?: Drained): Promise<void> {
  const { prepared } = await acts.states();
  if (prepared !== undefined) {
    await acts.proofs.held(prepared.authorityId);
    await acts.activate(prepared.authorityId);
  }
  const { active, old } = await acts.states();
  if (old === undefined || !acts.canRetire) return;
  if (active !== undefined) await acts.proofs.held(active.authorityId);
  const drained = begun ?? (await acts.proofs.drained());
  const isTaintedAnew = await acts.taint(old.authorityId).then(
    () => true,
    (error: unknown) => {
      if (!(error instanceof RpcError) || !/already tainted/.test(error.message)) throw error;
      return false;
    },
  );
  await drained(old.authorityId, begun !== undefined || isTaintedAnew);
  everRevoked.add(old.authorityId);
  await acts.revoke(old.authorityId);
}

function checkNothingLost(before: Bundle, after: Bundle): void {
  for (const kind of ['x509', 'jwt'] as const) {
    const held = new Set(idsOf(after, kind));
    const lost = idsOf(before, kind).filter((id) => !everRevoked.has(id) && !held.has(id));
    if (lost.length > 0) throw new Error(`${kind} authorities are lost: ${lost.join(', ')}`);
  }
}
