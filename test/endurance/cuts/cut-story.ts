// One case: the call is made while its commit is cut. It succeeds or fails, but what it changes is there whole or not at all; the server is healthy
// again by itself, and the same call, made again, ends where the undisturbed one does.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Entry } from '../../../proto/gen/spire/api/types/entry.ts';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { RpcError } from '../../../runtime/rpc/status.ts';
import {
  alreadyExists,
  attest,
  checkResults,
  example,
  exists,
  inputMask,
  newAuthority,
  newForeignBundles,
  notFound,
  outputMask,
  share,
  withoutMissing,
} from './change.ts';
import type { Change, Prepare } from './change.ts';
import { cutCalls } from './cut-cases.ts';
import type { CutCall, CutCase } from './cut-cases.ts';
import type { CutStage } from './cut-stage.ts';
import { federationChanges } from './federation-changes.ts';
import { ownChanges } from './own-changes.ts';
import { remoteChanges } from './remote-changes.ts';
import { upstreamChanges } from './upstream-changes.ts';

const healPatienceMs = 15_000;
const storedSequence = "SELECT FROM bundles WHERE trust_domain = 'example.org' AND sequence_number = $1::bigint";

export async function performCutCase(
  shared: CutStage,
  { call, moment }: CutCase,
  tell: (line: string) => void,
): Promise<void> {
  // Only a server below another authority has one to taint and revoke.
  const stage = call.includes('Upstream') ? await shared.below() : shared;
  const change = await changes[call](stage);
  if ((await change.measure()) !== 0) throw new Error('the change is there before it is made');
  const before = await sequenceOf(stage);
  let cutAt = 0;
  void stage.proxy.cut(cutCalls[call], moment).then(() => (cutAt = Date.now()));
  let said = 'it succeeded';
  try {
    await change.make();
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    said = `it failed: ${error.message}`;
  }
  await delay(50); // the proxy's word comes in a turn of its own
  stage.proxy.forget();
  if (cutAt === 0) throw new Error(`no statement of ${call} was cut: ${said}`);
  await eventually('healthy again', async () => {
    if (!(await stage.isHealthy())) throw new Error('it is not serving');
  });
  // A server that did not hear how its commit ended hears of its own change as the others do.
  await eventually('the bundle as it is stored', async () => {
    const shown = await sequenceOf(stage);
    if ((await stage.countRows(storedSequence, String(shown))) !== 1) throw new Error(`it shows ${shown}`);
  });
  const measured = await eventually('an answer', change.measure);
  tell(`cut ${moment} the commit; ${said}; ${measured === 1 ? 'the change is there' : 'no change'}`);
  if (measured !== 0 && measured !== 1) throw new Error(`half of the change is there: ${measured}`);
  if (moment === 'before' && measured === 1 && said !== 'it succeeded')
    throw new Error('it failed, and yet the change is there');
  if (said === 'it succeeded' && measured === 0) throw new Error('it succeeded, and the change is not there');
  if (measured === 0) await change.make();
  if ((await change.measure()) !== 1) throw new Error('the change is not there after it was made again');
  if ((await sequenceOf(stage)) < before) throw new Error("the bundle's sequence number fell");
}

function newEntries(count = 3): Entry[] {
  const selectors = [{ type: 'unix', value: 'uid:1000' }];
  return Array.from({ length: count }, () => {
    const id = randomUUID();
    return Entry.create({ id, spiffeId: example(`/${id}`), parentId: example('/node'), selectors });
  });
}

const changes: Readonly<Record<CutCall, Prepare>> = {
  ...federationChanges,
  ...ownChanges,
  ...remoteChanges,
  ...upstreamChanges,
  async BatchCreateEntry({ entry }) {
    const entries = newEntries();
    return {
      make: async () => checkResults((await entry.batchCreateEntry({ entries, outputMask })).results, alreadyExists),
      measure: () => share(entries, ({ id }) => exists(() => entry.getEntry({ id, outputMask }))),
    };
  },
  async BatchUpdateEntry({ entry }) {
    const entries = newEntries();
    checkResults((await entry.batchCreateEntry({ entries, outputMask })).results);
    const changed = entries.map((one) => ({ ...one, hint: 'changed' }));
    return {
      make: async () =>
        checkResults((await entry.batchUpdateEntry({ entries: changed, inputMask, outputMask })).results),
      measure: () => share(entries, async ({ id }) => (await entry.getEntry({ id, outputMask })).hint === 'changed'),
    };
  },
  async BatchDeleteEntry({ entry }) {
    const entries = newEntries();
    checkResults((await entry.batchCreateEntry({ entries, outputMask })).results);
    const ids = entries.map(({ id }) => id);
    return {
      make: async () => checkResults((await entry.batchDeleteEntry({ ids })).results, notFound),
      measure: () => share(ids, async (id) => !(await exists(() => entry.getEntry({ id, outputMask })))),
    };
  },
  async CreateJoinToken({ agent, countRows }) {
    const token = randomUUID();
    return {
      make: () => withoutMissing(() => agent.createJoinToken({ ttl: 600, token, agentId: undefined }), /exists/),
      // No call shows a token without using it up.
      measure: () => countRows('SELECT FROM join_tokens WHERE token = $1', token),
    };
  },
  async AttestAgent(stage) {
    const tokens: string[] = [];
    const path = () => `/spire/agent/join_token/${tokens.at(-1) ?? ''}`;
    return {
      // A token that was taken before the cut is used up: another one is needed, as an operator would make it.
      async make() {
        const { value } = await stage.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined });
        tokens.push(value);
        await attest(stage.agent, value);
      },
      measure: async () =>
        tokens.length === 0 ? 0 : Number(await exists(() => stage.agent.getAgent({ id: example(path()), outputMask }))),
    };
  },
  async BanAgent(stage) {
    const id = example(await newAgent(stage));
    return {
      make: () => stage.agent.banAgent({ id }),
      measure: async () => Number((await stage.agent.getAgent({ id, outputMask })).banned),
    };
  },
  async DeleteAgent(stage) {
    const id = example(await newAgent(stage));
    return {
      make: () => withoutMissing(() => stage.agent.deleteAgent({ id }), /not found/),
      measure: async () => Number(!(await exists(() => stage.agent.getAgent({ id, outputMask })))),
    };
  },
  async AppendBundle({ bundle }) {
    const added = [newAuthority(), newAuthority()];
    return {
      make: () =>
        bundle.appendBundle({
          x509Authorities: added.map((asn1) => ({ asn1, tainted: false })),
          jwtAuthorities: [],
          witAuthorities: [],
          outputMask,
        }),
      async measure() {
        const { x509Authorities } = await bundle.getBundle({ outputMask });
        return share(added, async (der) => x509Authorities.some(({ asn1 }) => Buffer.from(asn1).equals(der)));
      },
    };
  },
  async BatchCreateFederatedBundle(stage) {
    const [bundle] = newForeignBundles();
    const wanted = [bundle!];
    return {
      make: async () =>
        checkResults(
          (await stage.bundle.batchCreateFederatedBundle({ bundle: wanted, outputMask })).results,
          alreadyExists,
        ),
      measure: () =>
        share(wanted, ({ trustDomain }) => exists(() => stage.bundle.getFederatedBundle({ trustDomain, outputMask }))),
    };
  },
  async BatchSetFederatedBundle(stage) {
    const [bundle] = newForeignBundles();
    checkResults((await stage.bundle.batchCreateFederatedBundle({ bundle: [bundle!], outputMask })).results);
    const wanted = [{ ...bundle!, refreshHint: 90 }];
    return {
      make: async () =>
        checkResults((await stage.bundle.batchSetFederatedBundle({ bundle: wanted, outputMask })).results),
      measure: () =>
        share(
          wanted,
          async ({ trustDomain }) =>
            (await stage.bundle.getFederatedBundle({ trustDomain, outputMask })).refreshHint === 90,
        ),
    };
  },
  async BatchDeleteFederatedBundle(stage) {
    const [bundle] = newForeignBundles();
    checkResults((await stage.bundle.batchCreateFederatedBundle({ bundle: [bundle!], outputMask })).results);
    const trustDomains = [bundle!.trustDomain];
    return {
      make: async () =>
        checkResults((await stage.bundle.batchDeleteFederatedBundle({ trustDomains, mode: 0 })).results, notFound),
      measure: () =>
        share(
          trustDomains,
          async (trustDomain) => !(await exists(() => stage.bundle.getFederatedBundle({ trustDomain, outputMask }))),
        ),
    };
  },
  PrepareX509Authority: (stage) => authorityChange(stage, 'x509', 'prepare'),
  ActivateX509Authority: (stage) => authorityChange(stage, 'x509', 'activate'),
  TaintX509Authority: (stage) => authorityChange(stage, 'x509', 'taint'),
  RevokeX509Authority: (stage) => authorityChange(stage, 'x509', 'revoke'),
  PrepareJWTAuthority: (stage) => authorityChange(stage, 'jwt', 'prepare'),
  ActivateJWTAuthority: (stage) => authorityChange(stage, 'jwt', 'activate'),
  TaintJWTAuthority: (stage) => authorityChange(stage, 'jwt', 'taint'),
  RevokeJWTAuthority: (stage) => authorityChange(stage, 'jwt', 'revoke'),
};

const steps = ['prepare', 'activate', 'taint', 'revoke'] as const;
type Step = (typeof steps)[number];

/** Brings the rotation to where the step is next. */
async function authorityChange({ authority, bundle }: CutStage, kind: 'x509' | 'jwt', step: Step): Promise<Change> {
  const isX509 = kind === 'x509';
  const states = () => (isX509 ? authority.getX509AuthorityState({}) : authority.getJwtAuthorityState({}));
  await finishRotation();
  const first = (await states()).active!.authorityId;
  let next = '';
  const acts: Readonly<Record<Step, () => Promise<unknown>>> = {
    async prepare() {
      const { preparedAuthority } = isX509
        ? await authority.prepareX509Authority({})
        : await authority.prepareJwtAuthority({});
      next = preparedAuthority!.authorityId;
    },
    activate: () =>
      isX509
        ? authority.activateX509Authority({ authorityId: next })
        : authority.activateJwtAuthority({ authorityId: next }),
    taint: () =>
      isX509
        ? authority.taintX509Authority({ authorityId: first })
        : authority.taintJwtAuthority({ authorityId: first }),
    revoke: () =>
      isX509
        ? authority.revokeX509Authority({ authorityId: first })
        : authority.revokeJwtAuthority({ authorityId: first }),
  };
  for (const earlier of steps.slice(0, steps.indexOf(step))) await acts[earlier]();

  const held = async (id: string) => {
    const { x509Authorities, jwtAuthorities } = await bundle.getBundle({ outputMask });
    if (!isX509) return jwtAuthorities.find(({ keyId }) => keyId === id);
    return x509Authorities.find(
      ({ asn1 }) => Buffer.from(parseCertificate(asn1).subjectKeyId ?? []).toString('hex') === id,
    );
  };
  const measures: Readonly<Record<Step, () => Promise<number>>> = {
    // Published and in its slot, or neither; a key that was published for nothing only waits for its end.
    async prepare() {
      const { prepared } = await states();
      return prepared === undefined ? 0 : Number((await held(prepared.authorityId)) !== undefined);
    },
    activate: async () => Number((await states()).active?.authorityId === next),
    taint: async () => Number((await held(first))?.tainted === true),
    revoke: async () => Number((await held(first)) === undefined),
  };
  return { make: acts[step], measure: measures[step] };

  /** Of the case before. */
  async function finishRotation(): Promise<void> {
    const { prepared } = await states();
    if (prepared !== undefined) {
      const { authorityId } = prepared;
      await (isX509
        ? authority.activateX509Authority({ authorityId })
        : authority.activateJwtAuthority({ authorityId }));
    }
    const { old } = await states();
    if (old === undefined) return;
    const { authorityId } = old;
    const taint = () =>
      isX509 ? authority.taintX509Authority({ authorityId }) : authority.taintJwtAuthority({ authorityId });
    await withoutMissing(taint, /already tainted/);
    await (isX509 ? authority.revokeX509Authority({ authorityId }) : authority.revokeJwtAuthority({ authorityId }));
  }
}

async function newAgent(stage: CutStage): Promise<string> {
  const { value } = await stage.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined });
  await attest(stage.agent, value);
  return `/spire/agent/join_token/${value}`;
}

async function sequenceOf({ bundle }: CutStage): Promise<number> {
  return (await bundle.getBundle({ outputMask })).sequenceNumber;
}

async function eventually<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + healPatienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (cause) {
      if (Date.now() > deadline)
        throw new Error(`${what}: not within ${healPatienceMs} ms: ${(cause as Error).message}`, { cause });
      await delay(100);
    }
  }
}
