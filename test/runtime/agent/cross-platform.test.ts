// Trust between workloads behind different servers, while what is above both is away and when it is back. The time is printed; it is no pass mark.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyX509Svid } from '../../../runtime/pki/x509-svid.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { createWorkloadApi } from '../../../runtime/workloadapi/workload-api.ts';
import { startTiers } from '../../endurance/tiers/tiers.ts';
import type { Tiers } from '../../endurance/tiers/tiers.ts';
import { eventually } from '../../support/eventually.ts';

const trustDomain = parseTrustDomain('example.org');
const paths = ['/prod/gcp/demo/workload-a', '/prod/aws/demo/workload-b'] as const;
let tiers: Tiers;
let sockets: readonly string[];

beforeAll(async () => {
  tiers = await startTiers();
  const { middle, leaf } = tiers.servers;
  sockets = [await tiers.introduce(middle, 'gcp-node', paths[0]), await tiers.introduce(leaf, 'aws-node', paths[1])];
});
afterAll(() => tiers.close());

async function fetch(socketPath: string) {
  const api = createWorkloadApi({ socketPath });
  try {
    for await (const { svids, bundles } of api.fetchX509Svid({ deadlineMs: 20_000 }))
      return { chain: [...svids[0].chain], roots: bundles.get('example.org')!.x509Authorities.map(({ asn1 }) => asn1) };
    throw new Error(`no SVID at ${socketPath}`);
  } finally {
    api.close();
  }
}

/** Each takes the other's chain by the bundle of its own agent. */
async function meet(): Promise<string[]> {
  const [a, b] = await Promise.all(sockets.map(fetch));
  const read = (chain: Uint8Array[], roots: Uint8Array[]) =>
    verifyX509Svid({ chain, roots, now: Date.now(), trustDomain }).id.path;
  return [read(a!.chain, b!.roots), read(b!.chain, a!.roots)];
}

it('lasts while the root is away, and follows its next authority when it is back', async () => {
  const { root, replica } = tiers.servers;
  expect(await meet()).toEqual(paths);
  await Promise.all([root.kill(), replica.kill()]);
  for (let i = 0; i < 5; i += 1) expect(await meet()).toEqual(paths);
  await root.restart();
  const began = performance.now();
  const { preparedAuthority } = await root.authority.prepareX509Authority({});
  expect(preparedAuthority).toBeDefined();
  await eventually(async () => {
    const found = await Promise.all(sockets.map(fetch));
    expect(found.map(({ roots }) => roots.length)).toEqual([2, 2]);
  });
  console.log(`root back, until its next authority is at both workloads: ${(performance.now() - began).toFixed(0)} ms`);
  expect(await meet()).toEqual(paths);
});
