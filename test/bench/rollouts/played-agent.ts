// An agent of one of thousands of nodes that one process plays: its own instance, identity document, key, attestation, connection, sync and report, as the
// shipped agent makes them; no workloads, and nothing on a disk.
import type { KeyObject } from 'node:crypto';
import { FleetService } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { composeReport } from '../../../runtime/agent/report/compose-report.ts';
import { attestNode } from '../../../runtime/agent/node/attest-node.ts';
import { parseBundle } from '../../../runtime/agent/sync/bundle.ts';
import { createAgentAttestor } from '../../../runtime/attest/agent-attestors.ts';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { createCsr } from '../../../runtime/pki/csr.ts';
import { generateKeyPair } from '../../../runtime/pki/key-type.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { connect, createClient } from '../../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../../runtime/rpc/client.ts';
import { serverVerifier } from '../../../runtime/rpc/verify-peer.ts';
import { serverId } from '../../../runtime/spiffe/spiffe-id.ts';
import { clientsOf, trustDomain } from '../callers.ts';

export interface PlayedServer {
  readonly address: string;
  readonly port: number;
  /** DER. */
  readonly roots: readonly Uint8Array[];
}

export interface PlayedAgent {
  /** Attests; then as {@link restart}. */
  attest(version: string): Promise<void>;
  /** As a process that starts again with its state: another connection, what it is authorized to, and a report. */
  restart(version: string): Promise<void>;
  close(): void;
}

const log = { debug: () => undefined, warn: () => undefined };

/** `metadata`: where its instance's metadata service is. */
export function createPlayedAgent(metadata: string, { address, port, roots }: PlayedServer): PlayedAgent {
  const verifyServer = serverVerifier({ expectedId: serverId(trustDomain), roots: () => roots, clock: Date.now });
  let own:
    { readonly chain: readonly Uint8Array[]; readonly privateKey: KeyObject; readonly notAfter: number } | undefined;
  let channel: RpcChannel | undefined;
  let heartbeat: NodeJS.Timeout | undefined;

  const close = (): void => {
    clearTimeout(heartbeat);
    channel?.close();
    channel = undefined;
  };

  async function restart(version: string): Promise<void> {
    if (own === undefined) throw new Error('it has not attested');
    close();
    const { chain, privateKey, notAfter } = own;
    const credentials = { certificateChainPem: certificatesToPem([...chain]), privateKey };
    const opened = connect({ host: address, port, verifyServer, credentials: () => credentials });
    channel = opened;
    const clients = clientsOf(opened);
    const fleet = createClient(FleetService, opened);
    const bundle = parseBundle(await clients.bundle.getBundle({ outputMask: undefined }));
    await clients.entry.getAuthorizedEntries({ outputMask: undefined });
    const cache = { bundle, streams: () => ({ open: 1, lagging: 0 }), svids: () => [] };
    const report = async (): Promise<void> => {
      const composed = composeReport({ cache, svid: { chain, notAfter }, version, now: Date.now() });
      const { heartbeatMs } = await fleet.report(composed);
      heartbeat = setTimeout(() => {
        if (channel === opened) report().catch(() => undefined); // the server may be ending
      }, heartbeatMs);
    };
    await report();
  }

  return {
    close,
    restart,
    async attest(version) {
      const attestor = await createAgentAttestor(
        'aws_iid',
        {},
        {
          trustDomain,
          log,
          env: { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata },
        },
      );
      const { privateKey } = await generateKeyPair('ec-p256');
      const anonymous = connect({ host: address, port, verifyServer });
      try {
        const { chain } = await attestNode({
          client: clientsOf(anonymous).agent,
          attestor,
          csr: createCsr({ signer: signerOf(privateKey) }),
          again: false,
          signal: AbortSignal.timeout(120_000),
        });
        const [leaf] = chain;
        if (leaf === undefined) throw new Error('the SVID is empty');
        own = { chain, privateKey, notAfter: parseCertificate(leaf).notAfter };
      } finally {
        anonymous.close();
      }
      await restart(version);
    },
  };
}
