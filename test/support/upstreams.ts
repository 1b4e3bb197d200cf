// Upstream authorities for tests: one that asks a certificate authority in this process, and a whole upstream on sockets – a server's gRPC side and the
// Workload API that introduces the downstream to it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SpiffeWorkloadAPIService } from '../../proto/gen/spiffe/workload/workload.ts';
import type { X509SVIDResponse } from '../../proto/gen/spiffe/workload/workload.ts';
import { BundleService } from '../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDService } from '../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { parseCsr } from '../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../runtime/pki/key-type.ts';
import { createRpcServer } from '../../runtime/rpc/server.ts';
import { permissionDenied } from '../../runtime/rpc/status.ts';
import { clientVerifier } from '../../runtime/rpc/verify-peer.ts';
import { AuthorityError } from '../../runtime/server/ca/authority.ts';
import type { CertificateAuthority } from '../../runtime/server/ca/authority.ts';
import type { UpstreamAuthority } from '../../runtime/server/upstream/upstream-authority.ts';
import { parseSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { downstreamId, trustDomain } from './authorities.ts';

export interface InProcessUpstream extends UpstreamAuthority {
  /** While false, calls fail as an upstream that cannot be reached. */
  reachable: boolean;
}

export function upstreamOf(root: CertificateAuthority): InProcessUpstream {
  const reach = (): void => {
    if (!upstream.reachable) throw new AuthorityError('UPSTREAM_UNAVAILABLE', 'upstream is away');
  };
  const upstream: InProcessUpstream = {
    name: 'in-process',
    reachable: true,
    async mintX509Ca(csr, preferredTtlMs) {
      reach();
      const { publicKey } = parseCsr(csr);
      const { chain } = await root.signDownstreamX509Ca({ requester: downstreamId, publicKey, ttlMs: preferredTtlMs });
      return { chain, roots: root.bundle().x509Authorities };
    },
    async publishJwtAuthority(authority) {
      reach();
      return root.publishJwtAuthority(authority);
    },
    async watchBundle(listener, signal) {
      while (!signal.aborted) {
        if (upstream.reachable) await listener(root.bundle());
        await sleep(20, undefined, { signal }).catch(() => undefined); // Aborted: the loop sees it.
      }
    },
    close: () => undefined,
  };
  return upstream;
}

export interface SocketUpstream {
  readonly port: number;
  readonly workloadApiSocket: string;
  /** While false, the Workload API knows no identity for the caller. */
  introduces: boolean;
  /** While false, the server says that the caller is no downstream. */
  isDownstream: boolean;
  /** For a downstream's rights. */
  calls: number;
  close(): Promise<void>;
}

/** On 127.0.0.1, for the workload `spiffe://example.org/downstream`. */
export async function startSocketUpstream(root: CertificateAuthority, clock: () => number): Promise<SocketUpstream> {
  const directory = mkdtempSync(join(tmpdir(), 'esp-up-'));
  const workloadApiSocket = join(directory, 'api.sock');
  const authorities = () => root.bundle().x509Authorities.map(({ asn1 }) => asn1);
  const state = { introduces: true, isDownstream: true, calls: 0 };
  const checkDownstream = (): void => {
    state.calls += 1;
    if (!state.isDownstream) throw permissionDenied('authorization denied');
  };

  const server = createRpcServer();
  server.addService(SVIDService, {
    async newDownstreamX509Ca({ csr, preferredTtl }) {
      checkDownstream();
      const { publicKey } = parseCsr(csr);
      const { chain } = await root.signDownstreamX509Ca({
        requester: downstreamId,
        publicKey,
        ttlMs: preferredTtl * 1000,
      });
      return { caCertChain: chain.map(({ der }) => der), x509Authorities: authorities() };
    },
  });
  server.addService(BundleService, {
    async getBundle() {
      return wireBundle(root);
    },
    async publishJwtAuthority({ jwtAuthority }) {
      checkDownstream();
      const { keyId, publicKey, expiresAt } = jwtAuthority!;
      await root.publishJwtAuthority({ keyId, publicKey, expiresAt });
      return { jwtAuthorities: wireBundle(root).jwtAuthorities };
    },
  });
  const { port } = await server.listenTls({
    host: '127.0.0.1',
    port: 0,
    credentials: () => root.serverCredentials(),
    verifyPeer: clientVerifier({ roots: authorities, trustDomain, clock }),
  });

  const workloadApi = createRpcServer();
  workloadApi.addService(SpiffeWorkloadAPIService, {
    async *fetchX509Svid(_, { signal }) {
      if (!state.introduces) throw permissionDenied('no identity issued');
      yield await issueIdentity(root);
      // As real agents do: a change of X.509 authorities is pushed, one of JWT keys is not.
      let told = authorities().length;
      while (!signal.aborted) {
        await sleep(10, undefined, { signal }).catch(() => undefined); // Aborted: the loop sees it.
        if (authorities().length === told) continue;
        told = authorities().length;
        yield await issueIdentity(root);
      }
    },
  });
  await workloadApi.listenUnix(workloadApiSocket, { mode: 0o777 });
  return Object.assign(state, {
    port,
    workloadApiSocket,
    async close() {
      await Promise.all([server.close(0), workloadApi.close(0)]);
      rmSync(directory, { recursive: true });
    },
  });
}

function wireBundle(root: CertificateAuthority) {
  const { x509Authorities, jwtAuthorities, refreshHintSeconds, sequenceNumber } = root.bundle();
  return {
    trustDomain: trustDomain.name,
    x509Authorities: x509Authorities.map(({ asn1, tainted = false }) => ({ asn1, tainted })),
    jwtAuthorities: jwtAuthorities.map((authority) => ({ tainted: false, ...authority })),
    refreshHint: refreshHintSeconds,
    sequenceNumber,
    witAuthorities: [],
  };
}

async function issueIdentity(root: CertificateAuthority): Promise<X509SVIDResponse> {
  const { publicKey, privateKey } = generateKeyPairSync('ec-p256');
  const spiffeId = parseSpiffeId('spiffe://example.org/downstream');
  const { chain } = await root.signX509Svid({ publicKey, spiffeId });
  const x509SvidKey = new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }));
  const bundle = Buffer.concat(root.bundle().x509Authorities.map(({ asn1 }) => asn1));
  const x509Svid = Buffer.concat(chain.map(({ der }) => der));
  return {
    svids: [{ spiffeId: spiffeId.toString(), x509Svid, x509SvidKey, bundle, hint: '' }],
    crl: [],
    federatedBundles: {},
  };
}
