// deploy/kubernetes/enterprise-federated in two clusters with nodes: the root's trust domain in one, in the other the downstream's with its agents and workloads, and
// each asks the other's endpoint for its bundle. What is real and what is not: deployments.test.ts. Needs root.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { only, startTiers } from './support/deployed.ts';
import type { Deployed } from './support/deployed.ts';
import { doorTo } from './support/kubernetes-nodes/nodes.ts';
import { eventually } from './support/processes.ts';
import { createStage } from './support/stage.ts';

const patienceMs = 150_000;
const root = 'enterprise-root.org';
const below = 'downstream.example.org';

interface Bundle {
  readonly x509_authorities: readonly { readonly asn1: string }[];
}

describe('the enterprise deployment, federated', () => {
  const stage = createStage();
  const id = (name: string): string => `spiffe://${below}/${name}`;
  const workloads = ['security-gateway', 'enterprise-api', 'data-processor'];
  let upstream: Deployed;
  let downstream: Deployed;

  beforeAll(async () => {
    ({ upstream, downstream } = await startTiers({ stage, patienceMs }));
    await upstream.apply('enterprise-federated/upstream', ['spire-upstream']);
    await downstream.apply('enterprise-federated/downstream', ['spire-downstream']);
    await upstream.startNodes({
      outside: { 'downstream-spire-cluster': { 32443: doorTo(downstream.directory, 32_443) } },
      doors: [31_443],
    });
    await downstream.startNodes({
      outside: { 'upstream-spire-cluster': { 31443: doorTo(upstream.directory, 31_443) } },
      doors: [32_443],
    });
  });
  afterAll(() => stage.strike());

  const atRoot = <T>(...command: string[]) =>
    upstream.operate<T>('spire-upstream', 'spire-upstream-server-0', ...command);
  const atDownstream = <T>(...command: string[]) =>
    downstream.operate<T>('spire-downstream', 'spire-downstream-server-0', ...command);
  const bundleOfRoot = async () => (await atRoot<Bundle>('bundle', 'show')).x509_authorities;

  /** The first bundle goes by hand: `bundle show -format spiffe` here, `bundle set` there. */
  async function introduce(trustDomain: string, from: Deployed, to: Deployed): Promise<void> {
    const server = (one: Deployed) => {
      const tier = one === upstream ? 'spire-upstream' : 'spire-downstream';
      return [tier, `${tier}-server-0`, 'spire-server'] as const;
    };
    const program = '/opt/espalier/bin/spire-server bundle';
    const flags = '-format spiffe -socketPath /run/spire/sockets/server.sock';
    const shown = await from.exec(...server(from), ['/bin/sh', '-c', `${program} show ${flags}`]);
    expect(shown.code, shown.stderr).toBe(0);
    const set = `printf %s "$1" | ${program} set -id spiffe://${trustDomain} ${flags}`;
    const ended = await to.exec(...server(to), ['/bin/sh', '-c', set, 'sh', shown.stdout]);
    expect(ended.code, ended.stderr).toBe(0);
  }

  it('becomes ready, once each trust domain knows the other', async () => {
    await upstream.ready('spire-upstream', 'spire-server', 2);
    await downstream.ready('spire-downstream', 'spire-server', 2);
    await introduce(root, upstream, downstream);
    await introduce(below, downstream, upstream);
    await downstream.ready('spire-downstream', 'spire-agent');
    for (const name of workloads) await downstream.ready('downstream-workloads', name);
  });

  it('has workloads that meet in mutual TLS, and are told of the root’s trust domain', async () => {
    const pods = await Promise.all(
      workloads.map(async (name) => only(await downstream.podsOf('downstream-workloads', name))),
    );
    const toApi = await downstream.call(pods[0]!, 'enterprise-api:80', id('enterprise-api'));
    expect(toApi).toMatchObject({ self: id('security-gateway'), peer: id('enterprise-api') });
    const { namespace, name } = pods[0]!.metadata;
    const fetch = ['/opt/espalier/bin/spire-agent', 'api', 'fetch', 'x509', '-output', 'json', '-socketPath', '/run/spire/sockets/agent.sock']; // prettier-ignore
    const fetched = await downstream.exec(namespace, name, 'security-gateway', fetch);
    expect(fetched.code, fetched.stderr).toBe(0);
    const told = JSON.parse(fetched.stdout) as { federated_bundles: Readonly<Record<string, string>> };
    const authorities = (await bundleOfRoot()).map(({ asn1 }) => Buffer.from(asn1, 'base64'));
    expect(told.federated_bundles).toEqual({ [`spiffe://${root}`]: Buffer.concat(authorities).toString('base64') });
  });

  it('learns from the other’s endpoint what nobody brings by hand', async () => {
    const known = async () =>
      (await atDownstream<Bundle>('bundle', 'list', '-id', `spiffe://${root}`)).x509_authorities;
    const before = await known();
    await atRoot('localauthority', 'x509', 'prepare');
    await eventually(
      'the other has the successor too',
      async () => {
        await atDownstream('federation', 'refresh', '-id', `spiffe://${root}`);
        expect(await known()).toEqual(await bundleOfRoot());
      },
      patienceMs,
    );
    expect(await known()).toHaveLength(before.length + 1);
  });
});
