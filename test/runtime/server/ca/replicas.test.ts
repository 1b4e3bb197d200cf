import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import pg from 'pg';
import type { LocalAuthorityService } from '../../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { createLocalAuthorityService } from '../../../../runtime/server/api/local-authority-service.ts';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import { x509AuthorityId } from '../../../../runtime/server/store/bundle-changes.ts';
import { parsePem } from '../../../../runtime/pki/pem.ts';
import { verifyX509Svid } from '../../../../runtime/pki/x509-svid.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import type { Store } from '../../../../runtime/server/store/store.ts';
import { createMemoryKeyManager } from '../../../../runtime/server/keys/memory.ts';
import { createTestAuthority, trustDomain, workloadKey } from '../../../support/authorities.ts';
import type { TestAuthorityOptions } from '../../../support/authorities.ts';
import { createTestStore, silentLog } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { eventually } from '../../../support/eventually.ts';

let db: TestStore;
const opened: CertificateAuthority[] = [];
beforeEach(async () => {
  db = await createTestStore();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((ca) => ca.close()));
  await db.drop();
});

const open = async (options: Partial<TestAuthorityOptions> = {}): Promise<CertificateAuthority> => {
  const ca = await createTestAuthority({ store: await db.openAnother(), ...options });
  opened.push(ca);
  return ca;
};
/** The API of a server, without the wire. */
type Call = (request: { authorityId: string }) => Promise<object>;
const apiOf = (authority: CertificateAuthority) =>
  createLocalAuthorityService({ authority, disableJwtSvids: false, log: silentLog }) as unknown as Record<
    keyof typeof LocalAuthorityService,
    Call
  >;
const rootsOf = (ca: CertificateAuthority) =>
  ca.bundle().x509Authorities.map((held) => [x509AuthorityId(held), held.tainted === true]);
const keysOf = (ca: CertificateAuthority) =>
  ca.bundle().jwtAuthorities.map(({ keyId, tainted }) => [keyId, tainted === true]);
const execute = async (statement: string, values: unknown[] = []): Promise<unknown[]> => {
  const client = new pg.Client({ connectionString: db.url });
  await client.connect();
  const { rows } = await client.query(statement, values);
  await client.end();
  return rows as unknown[];
};

/** A server that has stopped without a word: it gives no sign of life and does nothing. */
const openDying = async () => {
  const store: Store = await db.openAnother();
  const state = { isDead: false };
  const hang = (): Promise<never> => new Promise(() => undefined);
  const dying: Store = {
    ...store,
    reportReplica: (report) => (state.isDead ? hang() : store.reportReplica(report)),
    takeAct: (owner) => (state.isDead ? hang() : store.takeAct(owner)),
  };
  const ca = await createTestAuthority({ store: dying });
  return {
    ca,
    async die(heartbeatSecondsAgo = 60) {
      state.isDead = true;
      const moved = `UPDATE server_replicas SET heartbeat_at = now() - make_interval(secs => $2) WHERE id = $1`;
      await execute(moved, [ca.replicaId, heartbeatSecondsAgo]);
    },
  };
};

describe.each(['X.509', 'JWT'] as const)('a forced rotation of %s on three servers', (kind) => {
  const word = kind === 'X.509' ? 'X509' : 'Jwt';
  const listed = kind === 'X.509' ? rootsOf : keysOf;
  const controlOf = (ca: CertificateAuthority) => (kind === 'X.509' ? ca.x509 : ca.jwt);

  test('may be asked of the servers that do not hold the authority, and holds in all when a call returns', async () => {
    const [owner, other, third] = [await open(), await open(), await open()];
    await third.appliedEverywhere();
    const first = controlOf(owner).states().active!.authorityId;
    const { authorityId: second } = await controlOf(owner).prepare();

    const [ask, askThird] = [apiOf(other), apiOf(third)];
    expect(await ask[`activate${word}Authority`]({ authorityId: second })).toMatchObject({
      activatedAuthority: { authorityId: second },
    });
    expect(controlOf(owner).states()).toMatchObject({
      active: { authorityId: second },
      old: { authorityId: first },
    });
    expect([owner, other, third].map((ca) => listed(ca).length)).toEqual([4, 4, 4]);

    const before = owner.serverCredentials();
    await askThird[`taint${word}Authority`]({ authorityId: first });
    for (const ca of [owner, other, third]) expect(listed(ca)).toContainEqual([first, true]);
    // Of the server that signed it; the others' identities are under their own authorities.
    expect(owner.serverCredentials() === before).toBe(kind === 'JWT');

    await ask[`revoke${word}Authority`]({ authorityId: first });
    for (const ca of [owner, other, third]) expect(listed(ca).map(([id]) => id)).not.toContain(first);
    expect(Object.keys(controlOf(owner).states())).toEqual(['active']);
    const { chain } = await other.signX509Svid({
      publicKey: workloadKey.publicKey,
      spiffeId: parseSpiffeId('spiffe://example.org/w'),
    });
    const roots = third.bundle().x509Authorities.map(({ asn1 }) => asn1);
    verifyX509Svid({ chain: chain.map(({ der }) => der), roots, now: Date.now(), trustDomain });
  });

  test('refuses each wrong step with the words for its slot, wherever the authority is', async () => {
    const [owner, other] = [await open(), await open()];
    const ask = apiOf(other);
    const [activate, taint, revoke] = [
      `activate${word}Authority`,
      `taint${word}Authority`,
      `revoke${word}Authority`,
    ].map((name) => ask[name as keyof typeof LocalAuthorityService]) as [Call, Call, Call];
    const first = controlOf(owner).states().active!.authorityId;
    const { authorityId: second } = await controlOf(owner).prepare();
    const refusal = (code: number, message: string) => ({ code, message });
    const { INVALID_ARGUMENT, INTERNAL } = statusCode;
    await expect(activate({ authorityId: first })).rejects.toMatchObject(
      refusal(INVALID_ARGUMENT, 'unexpected authority ID'),
    );
    await expect(taint({ authorityId: first })).rejects.toMatchObject(
      refusal(INVALID_ARGUMENT, 'unable to taint current local authority'),
    );
    await expect(taint({ authorityId: second })).rejects.toMatchObject(
      refusal(
        INVALID_ARGUMENT,
        'only Old local authorities can be tainted: unsupported local authority status: PREPARED',
      ),
    );
    await expect(revoke({ authorityId: first })).rejects.toMatchObject(
      refusal(INVALID_ARGUMENT, 'invalid authority ID: unable to use current authority'),
    );
    await expect(revoke({ authorityId: second })).rejects.toMatchObject(
      refusal(
        INVALID_ARGUMENT,
        kind === 'X.509'
          ? 'invalid authority ID: only Old local authority can be revoked'
          : 'invalid authority ID: unable to use a prepared key',
      ),
    );
    await activate({ authorityId: second });
    await expect(activate({ authorityId: first })).rejects.toMatchObject(
      refusal(INTERNAL, 'only Prepared authorities can be activated: unsupported local authority status: OLD'),
    );
    const untainted = kind === 'X.509' ? 'root CA' : 'key';
    await expect(revoke({ authorityId: first })).rejects.toMatchObject(
      refusal(INTERNAL, `failed to revoke ${kind} authority: it is not possible to revoke an untainted ${untainted}`),
    );
    await taint({ authorityId: first });
    await expect(taint({ authorityId: first })).rejects.toMatchObject(
      refusal(INTERNAL, `failed to taint ${kind} authority: ${untainted} is already tainted`),
    );
  });
});

describe('an owner that is dead', () => {
  test('is named, and nothing is done', async () => {
    const other = await open();
    const owner = await openDying();
    const { authorityId } = await owner.ca.x509.prepare();
    await owner.die();
    const since = /has given no sign of life since \d{4}-/;
    for (const step of ['activateX509Authority', 'taintX509Authority', 'revokeX509Authority'] as const) {
      await expect(apiOf(other)[step]({ authorityId })).rejects.toMatchObject({
        code: statusCode.UNAVAILABLE,
        message: expect.stringMatching(since) as string,
      });
    }
    expect(owner.ca.x509.states().prepared?.authorityId).toBe(authorityId);
  });

  test('but still counts as live is waited for, and then the act is withdrawn, so that it does not happen later', async () => {
    const other = await open({ patienceMs: 300 });
    const owner = await openDying();
    const { authorityId } = await owner.ca.x509.prepare();
    await owner.die(0);
    await expect(apiOf(other).activateX509Authority({ authorityId })).rejects.toMatchObject({
      code: statusCode.UNAVAILABLE,
      message: `failed to activate X.509 authority: server ${owner.ca.replicaId}, which holds the authority, does not answer within 0.3 s; nothing was done`,
    });
    expect(await db.store.takeAct(owner.ca.replicaId)).toBeUndefined();
  });

  test('and dies while it is asked is not waited for any longer', async () => {
    const other = await open();
    const owner = await openDying();
    const { authorityId } = await owner.ca.x509.prepare();
    await owner.die(0);
    const asking = apiOf(other).activateX509Authority({ authorityId });
    asking.catch(() => undefined); // it is looked at below
    const isAsked = `SELECT id FROM authority_acts WHERE owner = $1 AND state = 'asked'`;
    await eventually(async () => expect(await execute(isAsked, [owner.ca.replicaId])).toHaveLength(1));
    await owner.die();
    await expect(asking).rejects.toMatchObject({
      code: statusCode.UNAVAILABLE,
      message: expect.stringMatching(/is gone; nothing was done$/) as string,
    });
  });

  test('comes back: what could not be asked of it can be asked again', async () => {
    const keys = createMemoryKeyManager();
    const other = await open();
    const owner = await open({ keys });
    const { authorityId } = await owner.x509.prepare();
    opened.splice(opened.indexOf(owner), 1);
    await owner.close();
    await expect(apiOf(other).activateX509Authority({ authorityId })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'unexpected authority ID',
    });
    const again = await open({ keys });
    expect(again.replicaId).not.toBe(owner.replicaId);
    await apiOf(other).activateX509Authority({ authorityId });
    expect(again.x509Authority().authorityId).toBe(authorityId);
  });

  test('leaves a JWT key that any server may revoke once it is tainted', async () => {
    const [owner, other] = [await open(), await open()];
    const first = owner.jwtAuthority().authorityId;
    await owner.jwt.activate((await owner.jwt.prepare()).authorityId);
    await apiOf(other).taintJwtAuthority({ authorityId: first });
    opened.splice(opened.indexOf(owner), 1);
    await owner.close();
    await apiOf(other).revokeJwtAuthority({ authorityId: first });
    expect(keysOf(other).map(([id]) => id)).not.toContain(first);
  });
});

test('an act asked of two servers at once is done once, and both hear of it', async () => {
  const [owner, other, third] = [await open(), await open(), await open()];
  const first = owner.x509Authority().authorityId;
  const { authorityId } = await owner.x509.prepare();
  const outcomes = await Promise.allSettled([
    apiOf(other).activateX509Authority({ authorityId }),
    apiOf(third).activateX509Authority({ authorityId }),
    apiOf(owner).activateX509Authority({ authorityId }),
  ]);
  expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(1);
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ name: 'RpcError' });
  }
  expect(owner.x509.states()).toMatchObject({ active: { authorityId }, old: { authorityId: first } });
});

/** A server whose look at the bundle can be stopped. */
const openSlow = async () => {
  const store = await db.openAnother();
  const reading = new Set<Promise<unknown>>();
  const held: (() => void)[] = [];
  let isHeld = false;
  const fetchBundle: Store['fetchBundle'] = async (name) => {
    if (isHeld) await new Promise<void>((resolve) => held.push(resolve));
    const read = store.fetchBundle(name);
    reading.add(read);
    return read.finally(() => reading.delete(read));
  };
  return {
    ca: await open({ store: { ...store, fetchBundle } }),
    /** Resolves once it reads nothing any more and stands still before its next look. */
    async hold() {
      isHeld = true;
      await eventually(() => expect([reading.size, held.length > 0]).toEqual([0, true]));
    },
    release() {
      isHeld = false;
      for (const letGo of held.splice(0)) letGo();
    },
  };
};

test('a call does not return before a slow server has applied the taint', async () => {
  const store = await db.openAnother();
  let looks = 0;
  const listReplicas = async () => {
    const replicas = await store.listReplicas();
    looks += 1;
    return replicas;
  };
  const owner = await open({ store: { ...store, listReplicas } });
  const slow = await openSlow();
  const first = owner.x509Authority().authorityId;
  await owner.x509.activate((await owner.x509.prepare()).authorityId);
  await slow.hold();
  try {
    looks = 0;
    let isOver = false;
    const tainting = owner.x509.taint(first).then(() => (isOver = true));
    // It has seen that the slow one is behind, and looks again.
    await eventually(() => expect(looks).toBeGreaterThanOrEqual(2));
    expect(rootsOf(owner)).toContainEqual([first, true]);
    expect([isOver, rootsOf(slow.ca).some(([, tainted]) => tainted)]).toEqual([false, false]);
    slow.release();
    await tainting;
    expect(rootsOf(slow.ca)).toContainEqual([first, true]);
  } finally {
    slow.release();
  }
});

test('a server’s own identity is never older than the taint of what signed it', async () => {
  const owner = await open();
  const first = owner.x509Authority().authorityId;
  await owner.x509.activate((await owner.x509.prepare()).authorityId);
  await owner.x509.taint(first);
  const chain = parsePem(owner.serverCredentials().certificateChainPem).map(({ der }) => der);
  const untainted = owner.bundle().x509Authorities.filter(({ tainted }) => tainted !== true);
  verifyX509Svid({ chain, roots: untainted.map(({ asn1 }) => asn1), now: Date.now(), trustDomain });
});

test('what was revoked does not come back by an append', async () => {
  const ca = await open();
  const before = ca.bundle();
  const [root] = before.x509Authorities;
  const [key] = before.jwtAuthorities;
  for (const control of [ca.x509, ca.jwt]) {
    const old = control.states().active!.authorityId;
    await control.activate((await control.prepare()).authorityId);
    await control.taint(old);
    await control.revoke(old);
  }
  const after = await db.store.appendBundle({ ...before, x509Authorities: [root!], jwtAuthorities: [key!] });
  expect(after).toEqual(ca.bundle());
});
