// Batches of certificate requests: how many go to the server at once, and what of its answers is believed.
import { describe, expect, it } from 'vitest';
import { createSvidSigner } from '../../../runtime/agent/sync/sign-svids.ts';
import type { SvidSigner } from '../../../runtime/agent/sync/sign-svids.ts';
import type { AgentEntry } from '../../../runtime/agent/sync/entry.ts';
import { createLog } from '../../../runtime/log.ts';
import { parseCsr } from '../../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { RpcError, statusCode } from '../../../runtime/rpc/status.ts';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { createFakeAuthority } from '../../support/fake-authority.ts';

const trustDomain = parseTrustDomain('example.org');
const authority = createFakeAuthority(trustDomain);
const { signal } = new AbortController();
const entries = Array.from({ length: 250 }, (_, i) => ({
  id: `e${i}`,
  spiffeId: createSpiffeId(trustDomain, `/w${i}`),
})) as AgentEntry[];

type Answer = { certChain: Uint8Array[] } | undefined;

/** A server that answers each request as `answer` says, or fails the call as long as there are `failures`. */
function signerWith(
  answer: (entry: AgentEntry, csr: Uint8Array) => Answer,
  failures: Error[] = [],
  availabilityTargetMs = 0,
): { signer: SvidSigner; batches: number[] } {
  const batches: number[] = [];
  const client = {
    async batchNewX509Svid({ params }: { params: readonly { entryId: string; csr: Uint8Array }[] }) {
      batches.push(params.length);
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return {
        results: params.map(({ entryId, csr }) => {
          const found = answer(
            entries.find(({ id }) => id === entryId)!,
            csr,
          );
          const svid = found && { ...found, id: undefined, expiresAt: 0, hint: '' };
          return { status: { code: svid === undefined ? 5 : 0, message: 'entry not found or not authorized' }, svid };
        }),
      };
    },
  };
  return { signer: signerOn(client, availabilityTargetMs), batches };
}

const lines: string[] = [];

function signerOn(client: object, availabilityTargetMs = 0): SvidSigner {
  return createSvidSigner({
    client: () => client as ReturnType<Parameters<typeof createSvidSigner>[0]['client']>,
    keyType: 'ec-p256',
    policy: { random: () => 0.5, availabilityTargetMs },
    log: createLog({ level: 'warn', format: 'text', write: (line) => lines.push(line) }),
  });
}

const honest = ({ spiffeId }: AgentEntry, csr: Uint8Array) =>
  authority.issue({ publicKey: parseCsr(csr).publicKey, spiffeId, ttl: 3_600_000 });

describe('a batch', () => {
  const away = () => new RpcError(statusCode.UNAVAILABLE, 'server is away');

  it('has a hundred requests at most, and the caller comes back for the rest', async () => {
    const { signer, batches } = signerWith(honest);
    const { svids } = await signer.signSome(entries, signal);
    expect([batches, svids.size]).toEqual([[100], 100]);
  });

  it('is halved with each failure, down to one, and doubled with each success', async () => {
    const { signer, batches } = signerWith(honest, Array.from({ length: 8 }, away));
    for (let i = 0; i < 8; i += 1) await expect(signer.signSome(entries, signal)).rejects.toThrow('server is away');
    for (let i = 0; i < 4; i += 1) await signer.signSome(entries, signal);
    expect(batches).toEqual([100, 50, 25, 12, 6, 3, 1, 1, 1, 2, 4, 8]);
  });

  it('of one that the server cannot cope with leaves that entry alone, and no other', async () => {
    const broken = () => new RpcError(statusCode.INTERNAL, 'broken');
    const { signer } = signerWith(honest, [broken(), broken(), away()]);
    await expect(signer.signSome(entries.slice(0, 2), signal)).rejects.toThrow('broken');
    const one = entries.slice(0, 1);
    expect(await signer.signSome(one, signal)).toEqual({ svids: new Map(), failed: ['e0'] });
    await expect(signer.signSome(one, signal)).rejects.toThrow('server is away');
  });
});

describe('an SVID is not taken', () => {
  const [first] = entries as [AgentEntry];
  it.each<[string, (entry: AgentEntry, csr: Uint8Array) => Answer]>([
    ['that the server refuses', () => undefined],
    ['without a certificate', () => ({ certChain: [] })],
    ['that is none', () => ({ certChain: [new Uint8Array([0x30, 0x03, 0x02, 0x01, 0x00])] })],
    ['of another ID', (_, csr) => honest({ ...first, spiffeId: createSpiffeId(trustDomain, '/spire/server') }, csr)],
    [
      'for another key',
      ({ spiffeId }) => {
        const { publicKey } = generateKeyPairSync('ec-p256');
        return authority.issue({ publicKey, spiffeId, ttl: 3_600_000 });
      },
    ],
  ])('%s, and the others of the batch are', async (_, answer) => {
    const { signer } = signerWith((entry, csr) => (entry === first ? answer(entry, csr) : honest(entry, csr)));
    const { svids, failed } = await signer.signSome(entries.slice(0, 3), signal);
    expect([[...svids.keys()], failed]).toEqual([['e1', 'e2'], ['e0']]);
  });

  it('where the server answers fewer than it was asked', async () => {
    const client = { batchNewX509Svid: () => Promise.resolve({ results: [] }) };
    await expect(signerOn(client).signSome(entries.slice(0, 2), signal)).rejects.toThrow(
      'server answered 0 of 2 requests',
    );
  });
});

describe('an availability target', () => {
  const hour = 3_600_000;
  const target = 48 * hour;
  const lasting = createFakeAuthority(trustDomain, { rootTtl: 100 * hour });
  const sign = async (ttl: number) => {
    lines.length = 0;
    const answer = ({ spiffeId }: AgentEntry, csr: Uint8Array) =>
      lasting.issue({ publicKey: parseCsr(csr).publicKey, spiffeId, ttl });
    const { svids } = await signerWith(answer, [], target).signer.signSome(entries.slice(0, 1), signal);
    const { notAfter, renewAt } = svids.get('e0')!;
    return { left: notAfter - renewAt, lines };
  };

  it('has an SVID that lives long renewed while it still lasts that long', async () => {
    expect(await sign(72 * hour)).toEqual({ left: target + 5 * 60_000, lines: [] });
  });

  it('is ignored, and said to be, for one that lives too short', async () => {
    const { left } = await sign(60 * hour - 60_000);
    expect(left).toBeLessThan(31 * hour);
    expect(lines).toEqual([
      expect.stringContaining("X509 SVID lifetime isn't long enough to guarantee the availability_target"),
    ]);
  });
});
