// The agent's identity over its life: recovered from disk or attested, renewed at half life, attested again where the server wants that.
import type { KeyObject } from 'node:crypto';
import type { AgentAttestor } from '../../attest/attestor.ts';
import type { Logger } from '../../log.ts';
import { createCsr } from '../../pki/csr.ts';
import { signerOf } from '../../pki/signer.ts';
import { createCallCounter } from '../../telemetry/call-counter.ts';
import { createIdleMetrics } from '../../telemetry/registry.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import type { FaultHook } from '../fault-points.ts';
import { AgentStopped } from '../refusal.ts';
import type { RotationPolicy } from '../rotation.ts';
import type { AgentData, StoredSvid } from '../state/agent-data.ts';
import type { KeyStore } from '../state/key-store.ts';
import { parseBundle } from '../sync/bundle.ts';
import { agentSvidOf } from './agent-svid.ts';
import type { AgentSvid } from './agent-svid.ts';
import { digestOfKey, findAttestingKey } from './attesting-key.ts';
import { attestNode } from './attest-node.ts';
import { clockSkewMs, recoverSvid } from './recover-svid.ts';
import type { ServerClients, ServerLink } from './server-link.ts';
import type { Trust } from './trust.ts';

export interface IdentityOptions {
  readonly data: AgentData;
  readonly keys: KeyStore;
  readonly trust: Trust;
  readonly attestor: AgentAttestor;
  /** Opens a connection that shows no certificate. */
  readonly openAnonymousLink: () => ServerLink;
  readonly policy: RotationPolicy;
  readonly clock: () => number;
  readonly log: Logger;
  readonly metrics?: Metrics;
  readonly faultPoint?: FaultHook | undefined;
}

export interface AgentIdentity {
  svid(): AgentSvid | undefined;
  /** From disk where that is good, else by attestation. */
  establish(signal: AbortSignal): Promise<void>;
  isRenewalDue(): boolean;
  /** Over the link, which still shows the old SVID; the caller renews the link afterwards. */
  renew(link: ServerLink, signal: AbortSignal): Promise<void>;
  reattest(signal: AbortSignal): Promise<void>;
  /** The SVID hangs on an authority that is no longer trusted: renew it at the next occasion. */
  forceRenewal(): void;
  /** After a refusal: the next start attests anew. */
  forget(): Promise<void>;
}

export function createIdentity(options: IdentityOptions): AgentIdentity {
  const { data, keys, trust, attestor, openAnonymousLink, policy, clock, log, metrics, faultPoint } = options;
  const attesting = createCallCounter(metrics ?? createIdleMetrics(), ['node', 'attestor', 'new_svid'], {
    attestor: attestor.type,
  });
  let current: AgentSvid | undefined;
  let forced = false;

  const keep = async (stored: StoredSvid, privateKey: KeyObject): Promise<AgentSvid> => {
    const svid = agentSvidOf(stored, privateKey, policy);
    await data.storeSvid(stored);
    current = svid;
    forced = false;
    return svid;
  };

  /** Evidence may serve only once, so an SVID is not thrown away because the bundle that follows did not come: the next sync fetches it. */
  const updateTrust = async (client: ServerClients['bundle'], signal: AbortSignal): Promise<void> => {
    try {
      trust.update(parseBundle(await client.getBundle({ outputMask: undefined }, { signal })));
    } catch (error) {
      if (trust.bundle().x509Authorities.length === 0) throw error;
      log.warn({ err: error }, 'Failed to get updated bundle; going on with the one that the server was verified by');
    }
  };

  const beginAttesting = async (): Promise<KeyObject> => {
    const privateKey = await keys.generateBeside(current?.privateKey);
    await data.storeAttesting(digestOfKey(privateKey));
    return privateKey;
  };

  const attest = async (signal: AbortSignal): Promise<AgentSvid> => {
    // The answer may have been lost after the server took the evidence: asked with the same key, ours gives it again.
    const begun = findAttestingKey(data, keys);
    const privateKey = begun ?? (await beginAttesting());
    const link = openAnonymousLink();
    try {
      const { agent: client, bundle } = link.clients();
      const csr = createCsr({ signer: signerOf(privateKey) });
      const node = await attesting.measure(() =>
        attestNode({ client, attestor, csr, again: begun !== undefined, signal }),
      );
      faultPoint?.('attest.answered');
      await updateTrust(bundle, signal);
      // The bundle first: an SVID without one could not be used after a restart.
      await data.storeX509Authorities(trust.bundle().x509Authorities.map(({ asn1 }) => asn1));
      const svid = await keep(node, privateKey);
      faultPoint?.('attest.done');
      return svid;
    } finally {
      link.close();
    }
  };

  return {
    svid: () => current,
    isRenewalDue: () => current !== undefined && (forced || clock() >= current.renewAt),
    forceRenewal() {
      forced = true;
    },
    async establish(signal) {
      const recovered = recoverSvid(options);
      if (recovered !== undefined) {
        current = recovered;
        forced = keys.wasExposed;
        log.info({ spiffe_id: recovered.id.toString() }, 'SVID loaded');
        return;
      }
      log.info({ node_attestor_type: attestor.type }, 'SVID is not found. Starting node attestation');
      const { id, reattestable } = await attest(signal);
      log.info({ spiffe_id: id.toString(), reattestable }, 'Node attestation was successful');
    },
    async renew(link, signal) {
      if (current?.reattestable === true) return this.reattest(signal);
      if (current !== undefined && clock() + clockSkewMs >= current.notAfter) {
        throw new AgentStopped('SVID_EXPIRED', `agent SVID has expired: ${current.id.toString()}`);
      }
      const privateKey = await keys.generateBeside(current?.privateKey);
      const csr = createCsr({ signer: signerOf(privateKey) });
      const { svid } = await link.clients().agent.renewAgent({ params: { csr } }, { signal });
      faultPoint?.('renew.answered');
      if (svid === undefined) throw new Error('renewal response has no SVID');
      const { id } = await keep({ chain: svid.certChain, reattestable: false }, privateKey);
      faultPoint?.('renew.done');
      log.info({ spiffe_id: id.toString() }, 'Successfully rotated agent SVID');
    },
    async reattest(signal) {
      if (current?.reattestable !== true)
        throw new AgentStopped('NOT_REATTESTABLE', 'attestation method is not re-attestable');
      const { id } = await attest(signal);
      log.info({ spiffe_id: id.toString() }, 'Successfully reattested node');
    },
    async forget() {
      current = undefined;
      await data.storeSvid(undefined);
    },
  };
}
