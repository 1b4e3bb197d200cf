// Templates of services and what is given by them, on a whole server: who is refused what, and what goes when.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ServiceIdentitiesService } from '../../../../proto/gen/espalier/service/v1/service.ts';
import type { Template } from '../../../../proto/gen/espalier/service/v1/service.ts';
import type { Entry } from '../../../../proto/gen/spire/api/types/entry.ts';
import { createClient } from '../../../../runtime/rpc/client.ts';
import type { Client } from '../../../../runtime/rpc/service.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { eventually } from '../../../support/eventually.ts';
import { createEntry, runServer } from '../../../support/run-server.ts';
import type { RunningTestServer } from '../../../support/run-server.ts';

const unix = (value: string) => ({ type: 'unix', value });
const vm = (uid: number) => [unix('path:/usr/bin/vm'), unix(`uid:${uid}`), unix('gid:7')];

let now = Date.now();
let server: RunningTestServer;
let admin: Client<typeof ServiceIdentitiesService>;
let agent: Awaited<ReturnType<RunningTestServer['attestAgent']>>;
let metald: Entry;
let count = 0;

beforeAll(async () => {
  server = await runServer({ clock: () => now, settings: 'audit_log_enabled = true' });
  admin = createClient(ServiceIdentitiesService, server.localChannel);
});
afterAll(() => server.close());
beforeEach(async () => {
  now = Date.now();
  agent = await server.attestAgent();
  metald = await service();
});

async function service(more: Partial<Entry> = {}): Promise<Entry> {
  count += 1;
  const selectors = [unix(`path:/usr/bin/metald-${count}`)];
  const entry = await createEntry(server.local, `/service/metald-${count}`, agent.path, { selectors, ...more });
  await eventually(async () => expect(await authorized()).toContain(entry.id));
  return entry;
}

async function authorized(of = agent): Promise<string[]> {
  return (await of.entry.getAuthorizedEntries({ outputMask: undefined })).entries.map(({ id }) => id);
}

const templateOf = (entryId: string, more: Partial<Template> = {}): Template => ({
  entryId,
  spiffeId: undefined,
  kinds: ['customer'],
  selectors: [unix('path:/usr/bin/vm')],
  distinguishedBy: 'unix:uid',
  x509SvidTtl: 0,
  jwtSvidTtl: 0,
  leaseSeconds: 0,
  mostIdentities: 0,
  ...more,
});

const set = (entryId: string, more: Partial<Template> = {}) =>
  admin.setTemplate({ template: templateOf(entryId, more) });
const derive = (id: string, uid: number, of = agent, templateEntryId = metald.id) =>
  of.service.deriveIdentity({ templateEntryId, kind: 'customer', id, selectors: vm(uid) });
const given = async (templateEntryId = metald.id) =>
  (await admin.listIdentities({ templateEntryId, pageSize: 0, pageToken: '' })).identities;

describe('a template is not set', () => {
  it('for an entry that is not there', async () => {
    await expect(set('none')).rejects.toMatchObject({ code: statusCode.NOT_FOUND, message: 'entry none not found' });
  });

  it('for an entry that is no service’s', async () => {
    const other = await createEntry(server.local, `/prod/other-${count}`, agent.path);
    await expect(set(other.id)).rejects.toMatchObject({
      code: statusCode.FAILED_PRECONDITION,
      message: `entry ${other.id} is of spiffe://example.org/prod/other-${count}, want an ID with the path /service/<name>`,
    });
  });

  it('for an administrator', async () => {
    const { id } = await service({ admin: true });
    await expect(set(id)).rejects.toMatchObject({
      code: statusCode.FAILED_PRECONDITION,
      message: `entry ${id} is an administrator's`,
    });
  });

  it('without selectors', async () => {
    await expect(set(metald.id, { selectors: [] })).rejects.toMatchObject({ code: statusCode.INVALID_ARGUMENT });
  });
});

describe('an agent is refused', () => {
  const none = { code: statusCode.NOT_FOUND, message: 'template not found or not authorized' };

  it('without a template', async () => {
    await expect(derive('a', 1)).rejects.toMatchObject(none);
  });

  it('for the service of another agent, as if there were no template', async () => {
    await set(metald.id);
    const stranger = await server.attestAgent();
    await expect(derive('a', 1, stranger)).rejects.toMatchObject(none);
    const withdraw = { templateEntryId: metald.id, kind: 'customer', id: 'a', entryId: '' };
    await expect(stranger.service.withdrawIdentity(withdraw)).rejects.toMatchObject(none);
  });

  it.each([
    [{ templateEntryId: '' }, 'missing entry ID'],
    [{ kind: 'admin' }, 'invalid subject: kind "admin" is neither customer nor tenant'],
    [{ id: '..' }, 'invalid subject: path cannot contain dot segments'],
    [{ id: 'a/tenant/b' }, /^invalid subject: path segment characters/],
    [{ id: 'a'.repeat(129) }, 'invalid subject: id has 129 characters, at most 128 are taken'],
    [{ selectors: [] }, 'missing selectors'],
    [{ selectors: [{ type: 'a:b', value: 'c' }] }, "invalid selector: selector type contains ':'"],
    [
      { selectors: Array.from({ length: 513 }, (_, i) => unix(`gid:${i}`)) },
      'there are 513 selectors, at most 512 are taken',
    ],
  ])('%j', async (patch, message) => {
    await set(metald.id);
    const request = { templateEntryId: metald.id, kind: 'customer', id: 'a', selectors: vm(1), ...patch };
    await expect(agent.service.deriveIdentity(request)).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: typeof message === 'string' ? message : (expect.stringMatching(message) as string),
    });
  });

  it('a second identity for one process, by whatever service of the node', async () => {
    const builderd = await service();
    await set(metald.id);
    await set(builderd.id);
    await derive('a', 1);
    const refused = {
      code: statusCode.ALREADY_EXISTS,
      message: 'failed to give identity: unix:uid:1 has another identity on this node',
    };
    await expect(derive('b', 1)).rejects.toMatchObject(refused);
    await expect(derive('a', 1, agent, builderd.id)).rejects.toMatchObject(refused);
  });

  it('of four services that name one process at once, all but one', async () => {
    const services = [metald, await service(), await service(), await service()];
    for (const { id } of services) await set(id);
    const asked = await Promise.allSettled(services.map(({ id }) => derive('a', 5, agent, id)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const one of asked)
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: statusCode.ALREADY_EXISTS });
  });

  it('more identities than the template lets it have, of many that ask at once', async () => {
    await set(metald.id, { mostIdentities: 3 });
    const asked = await Promise.allSettled([1, 2, 3, 4, 5, 6].map((uid) => derive(`c-${uid}`, uid)));
    const reasons = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(reasons).toHaveLength(3);
    for (const reason of reasons)
      expect(reason).toMatchObject({
        code: statusCode.RESOURCE_EXHAUSTED,
        message: 'failed to give identity: service has 3 identities on this node already',
      });
  });

  it('an identity that an administrator’s entry gives already', async () => {
    await set(metald.id);
    const selectors = [unix('path:/usr/bin/vm'), unix('uid:77')];
    await createEntry(server.local, `${metald.spiffeId!.path}/customer/a`, agent.path, { selectors });
    await expect(derive('a', 77)).rejects.toMatchObject({
      code: statusCode.ALREADY_EXISTS,
      message: 'failed to give identity: an entry of an administrator says the same',
    });
  });
});

describe('an identity', () => {
  it('is an ordinary entry on the one node, which ends', async () => {
    await set(metald.id, { x509SvidTtl: 300, jwtSvidTtl: 60, leaseSeconds: 120 });
    const { identity } = await derive('cust-123', 20_001);
    const entry = await server.local.entry.getEntry({ id: identity!.entryId, outputMask: undefined });
    const seconds = Math.floor(now / 1000);
    expect(entry).toMatchObject({
      spiffeId: { trustDomain: 'example.org', path: `${metald.spiffeId!.path}/customer/cust-123` },
      parentId: { trustDomain: 'example.org', path: agent.path },
      selectors: [unix('path:/usr/bin/vm'), unix('uid:20001')],
      x509SvidTtl: 300,
      jwtSvidTtl: 60,
      expiresAt: seconds + 120,
      admin: false,
      downstream: false,
    });
    await eventually(async () => expect(await authorized()).toContain(entry.id));
    expect(await given()).toEqual([identity]);
    expect(identity).toMatchObject({
      distinguisher: 'unix:uid:20001',
      templateEntryId: metald.id,
      agentId: { trustDomain: 'example.org', path: agent.path },
    });
    const line = server.lines.find((text) => text.includes('method=DeriveIdentity') && text.includes(entry.id));
    expect(line).toContain(`spiffe_id="spiffe://example.org${metald.spiffeId!.path}/customer/cust-123"`);
    expect(line).toContain('status=success subject_id=cust-123 subject_kind=customer');
  });

  it('that is asked for again lasts longer, and stays the same', async () => {
    await set(metald.id, { leaseSeconds: 120 });
    const first = await derive('a', 1);
    now += 60_000;
    const again = await derive('a', 1);
    expect(again.identity).toEqual({ ...first.identity, expiresAt: Math.floor(now / 1000) + 120 });
    const { entries } = await server.local.entry.listEntries({
      filter: undefined,
      outputMask: undefined,
      pageSize: 0,
      pageToken: '',
    });
    expect(entries.find(({ id }) => id === again.identity!.entryId)).toMatchObject({
      revisionNumber: 0,
      expiresAt: again.identity!.expiresAt,
    });
  });

  it('that has ended makes room for another', async () => {
    await set(metald.id, { leaseSeconds: 120, mostIdentities: 1 });
    await derive('a', 1);
    now += 121_000;
    await expect(derive('b', 1)).resolves.toMatchObject({ identity: { distinguisher: 'unix:uid:1' } });
  });

  it('goes with the service’s word, one process’s or all of an ID', async () => {
    await set(metald.id);
    const one = await derive('a', 1);
    await derive('a', 2);
    await derive('b', 3);
    const withdraw = (id: string, entryId = '') =>
      agent.service.withdrawIdentity({ templateEntryId: metald.id, kind: 'customer', id, entryId });
    expect(await withdraw('b', one.identity!.entryId)).toEqual({ withdrawn: 0 });
    expect(await withdraw('a', one.identity!.entryId)).toEqual({ withdrawn: 1 });
    expect(await withdraw('a')).toEqual({ withdrawn: 1 });
    expect(await withdraw('a')).toEqual({ withdrawn: 0 });
    expect((await given()).map(({ distinguisher }) => distinguisher)).toEqual(['unix:uid:3']);
  });
});

describe('everything that was given goes', () => {
  let entryId: string;
  const gone = async () => {
    await eventually(async () => expect(await authorized()).not.toContain(entryId));
    expect((await given()).map((one) => one.entryId)).not.toContain(entryId);
  };
  beforeEach(async () => {
    await set(metald.id);
    entryId = (await derive('a', 1)).identity!.entryId;
    await eventually(async () => expect(await authorized()).toContain(entryId));
  });

  it('with the template', async () => {
    await derive('b', 2);
    expect(await admin.deleteTemplate({ entryId: metald.id })).toEqual({ withdrawn: 2 });
    await gone();
    await expect(admin.deleteTemplate({ entryId: metald.id })).rejects.toMatchObject({
      code: statusCode.NOT_FOUND,
      message: `entry ${metald.id} has no template`,
    });
  });

  it('with other terms, and not with a longer lease', async () => {
    await set(metald.id, { leaseSeconds: 7200 });
    expect((await given()).map((one) => one.entryId)).toEqual([entryId]);
    await set(metald.id, { selectors: [unix('path:/usr/bin/other-vm')] });
    await gone();
  });

  it('with the service’s own entry', async () => {
    await server.local.entry.batchDeleteEntry({ ids: [metald.id] });
    await gone();
    const { templates } = await admin.listTemplates({ pageSize: 0, pageToken: '' });
    expect(templates.map((template) => template.entryId)).not.toContain(metald.id);
  });

  it('with another ID for the service', async () => {
    const entry = { ...metald, spiffeId: { trustDomain: 'example.org', path: `/service/renamed-${count}` } };
    const { results } = await server.local.entry.batchUpdateEntry({
      entries: [entry],
      inputMask: undefined,
      outputMask: undefined,
    });
    expect(results[0]?.status?.code).toBe(0);
    await gone();
  });

  it('with the node', async () => {
    await server.local.agent.deleteAgent({ id: { trustDomain: 'example.org', path: agent.path } });
    await eventually(async () => expect(await given()).toEqual([]));
  });
});

it('lists come in pages', async () => {
  await set(metald.id);
  for (const uid of [1, 2, 3]) await derive(`c-${uid}`, uid);
  const page = (pageToken: string) => admin.listIdentities({ templateEntryId: metald.id, pageSize: 2, pageToken });
  const first = await page('');
  const second = await page(first.nextPageToken);
  expect([...first.identities, ...second.identities].map(({ distinguisher }) => distinguisher)).toEqual([
    'unix:uid:1',
    'unix:uid:2',
    'unix:uid:3',
  ]);
  expect(second.nextPageToken).toBe('');
  await expect(page('x')).rejects.toMatchObject({ code: statusCode.INVALID_ARGUMENT });
  const { templates, nextPageToken } = await admin.listTemplates({ pageSize: 1, pageToken: '' });
  expect([templates.length, nextPageToken === '']).toEqual([1, false]);
});
