// One case: the call is made while its commit is cut. It succeeds or fails, but what it changes is there whole or not at all; the server is healthy
// again by itself, and the same call, made again, ends where the undisturbed one does.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Entry } from '../../../proto/gen/spire/api/types/entry.ts';
import { createCsr } from '../../../runtime/pki/csr.ts';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { issueSelfSignedCa } from '../../../runtime/pki/issue.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { internal, RpcError, statusCode } from '../../../runtime/rpc/status.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { cutCalls } from './cut-cases.ts';
import type { CutCall, CutCase } from './cut-cases.ts';
import type { CutStage } from './cut-stage.ts';

/** One attempt at a change, prepared so that it can be made again. */
interface Change {
  /** Throws an RpcError where the server says that it failed. What says that it is done already is no failure. */
  readonly make: () => Promise<unknown>;
  /** How much of the change is there: 0 none, 1 all. Anything between is half of it. */
  readonly measure: () => Promise<number>;
}

const healPatienceMs = 15_000;

export async function performCutCase(
  stage: CutStage,
  { call, moment }: CutCase,
  tell: (line: string) => void,
): Promise<void> {
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

const example = (path: string) => ({ trustDomain: 'example.org', path });
const outputMask = undefined;
const inputMask = undefined;

function newEntries(count = 3): Entry[] {
  const selectors = [{ type: 'unix', value: 'uid:1000' }];
  return Array.from({ length: count }, () => {
    const id = randomUUID();
    return Entry.create({ id, spiffeId: example(`/${id}`), parentId: example('/node'), selectors });
  });
}

/** The share of those that fit. */
async function share<T>(of: readonly T[], fits: (item: T) => Promise<boolean>): Promise<number> {
  const fitting = await Promise.all(of.map(fits));
  return fitting.filter(Boolean).length / of.length;
}

/** The first status that is none of those; batches tell their failures item by item. */
function checkResults(
  results: readonly { status?: { code: number; message: string } | undefined }[],
  ...allowed: number[]
): void {
  const failed = results.find(({ status }) => status !== undefined && ![0, ...allowed].includes(status.code));
  if (failed?.status !== undefined) throw internal(failed.status.message);
}

const { ALREADY_EXISTS: alreadyExists, NOT_FOUND: notFound } = statusCode;

async function withoutMissing(act: () => Promise<unknown>, allowed: RegExp): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof RpcError) || !allowed.test(error.message)) throw error;
  }
}

function newAuthority(trustDomain = 'example.org'): Uint8Array {
  const signer = signerOf(generateKeyPairSync('ec-p256').privateKey);
  const now = Date.now();
  const spiffeId = parseSpiffeId(`spiffe://${trustDomain}`);
  const subject = { country: 'US', organization: 'SPIFFE' };
  return issueSelfSignedCa({ signer, subject, spiffeId, notBefore: now - 10_000, notAfter: now + 86_400_000 }).der;
}

function newForeignBundles() {
  return Array.from({ length: 2 }, () => {
    const trustDomain = `${randomUUID()}.test`;
    return {
      trustDomain,
      x509Authorities: [{ asn1: newAuthority(trustDomain), tainted: false }],
      jwtAuthorities: [],
      witAuthorities: [],
      refreshHint: 60,
      sequenceNumber: 1,
    };
  });
}

type Prepare = (stage: CutStage) => Promise<Change>;

const changes: Readonly<Record<CutCall, Prepare>> = {
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
        await attest(stage, value);
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
  await attest(stage, value);
  return `/spire/agent/join_token/${value}`;
}

async function attest({ agent }: CutStage, token: string): Promise<void> {
  const csr = createCsr({ signer: signerOf(generateKeyPairSync('ec-p256').privateKey) });
  const data = { type: 'join_token', payload: Buffer.from(token) };
  async function* params() {
    yield { step: { $case: 'params' as const, value: { data, params: { csr } } } };
  }
  for await (const { step } of agent.attestAgent(params())) if (step?.$case === 'result') return;
  throw new Error('the server ended the exchange without a result');
}

async function exists(find: () => Promise<unknown>): Promise<boolean> {
  try {
    await find();
    return true;
  } catch (error) {
    if (error instanceof RpcError && error.code === notFound) return false;
    throw error;
  }
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
