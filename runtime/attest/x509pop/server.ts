// Server half of x509pop: the certificate must chain to a configured authority, and its key must answer a challenge. May attest again at any time.
import { X509Certificate } from 'node:crypto';
import { parseCertificate } from '../../pki/certificate.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { PkiError } from '../../pki/errors.ts';
import { verifyChain } from '../../pki/verify-chain.ts';
import { agentIdOf } from '../agent-path-template.ts';
import { deniedEvidence, undecided } from '../attest-error.ts';
import type { AttestContext, ServerAttestor, ServerAttestorDeps } from '../attestor.ts';
import { checkPayload } from '../payload.ts';
import type { PluginData } from '../plugin-config.ts';
import { PluginConfigError } from '../plugin-config.ts';
import { parseEvidence } from './evidence.ts';
import type { Evidence } from './evidence.ts';
import { checkAnswer, createNonce, encodeChallenge, fingerprint, keyKindOf } from './possession.ts';
import type { KeyKind } from './possession.ts';
import { commonNameOf, selectorValues, serialNumberHex, uriSelectorsOf } from './selectors.ts';
import { parseX509PopServerConfig, x509PopPlugin } from './server-config.ts';
import type { X509PopServerConfig } from './server-config.ts';

const type = 'x509pop';

export function createX509PopServerAttestor(data: PluginData, deps: ServerAttestorDeps): ServerAttestor {
  const config = parseX509PopServerConfig(data);
  const { trustDomain, clock, x509Authorities } = deps;
  if (config.mode === 'spiffe' && x509Authorities === undefined) {
    throw new PluginConfigError(x509PopPlugin, ['mode "spiffe" needs the server\'s bundle, which is not at hand']);
  }

  return {
    type,
    async attest(payload, challenge, context) {
      checkPayload(payload);
      const evidence = parseEvidence(payload, {
        maxIntermediates: config.max_intermediates,
        maxRsaBits: config.max_rsa_key_size,
      });
      const roots = config.mode === 'spiffe' ? ((await x509Authorities?.()) ?? []) : config.roots;
      const chain = verify(evidence, roots, clock());
      const { leaf } = evidence;
      if (config.verify_client_ip) checkClientAddress(leaf, context);
      const kind = checkLeafKey(leaf);

      const nonce = createNonce();
      checkAnswer(leaf.publicKey, kind, nonce, await challenge(encodeChallenge(kind, nonce)));

      const uriSelectors = uriSelectorsOf(leaf.uris, trustDomain.name);
      const spiffeId = agentIdOf(
        config.agent_path_template,
        {
          PluginName: type,
          Fingerprint: fingerprint(leaf.der),
          SerialNumberHex: serialNumberHex(leaf.serialNumber),
          TrustDomain: trustDomain.name,
          SVIDPathTrimmed: svidPath(leaf, config, trustDomain.idString()),
          URISanSelectors: uriSelectors,
          Subject: { CommonName: commonNameOf(leaf.subject) },
        },
        trustDomain,
      );
      const selectors = selectorValues(chain, uriSelectors).map((value) => ({ type, value }));
      return { spiffeId, selectors, canReattest: true };
    },
  };
}

function verify({ leaf, intermediates }: Evidence, roots: readonly Uint8Array[], now: number): readonly Certificate[] {
  try {
    return verifyChain({ leaf, intermediates, roots: roots.map(parseCertificate), now });
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw deniedEvidence('CHAIN_UNTRUSTED', `certificate verification failed: ${cause.message}`, cause);
  }
}

/** The certificate's addresses are asked of OpenSSL: they are bytes there, and text with a history elsewhere. */
function checkClientAddress(leaf: Certificate, { clientAddress }: AttestContext): void {
  if (clientAddress === undefined) throw undecided('CLIENT_ADDRESS', 'client IP not available for verification');
  if (new X509Certificate(leaf.der).checkIP(clientAddress) === undefined) {
    throw deniedEvidence('CLIENT_ADDRESS', `client IP ${clientAddress} does not match any certificate IP SAN`);
  }
}

function checkLeafKey(leaf: Certificate): KeyKind {
  if (!leaf.keyUsage.digitalSignature) {
    throw undecided('KEY_USAGE', 'unable to generate challenge: certificate not intended for digital signature use');
  }
  const kind = keyKindOf(leaf.publicKey);
  if (kind === undefined) throw undecided('KEY_TYPE', 'unable to generate challenge: unsupported public key type');
  return kind;
}

/** In mode `spiffe` the certificate is an SVID of our own trust domain, and its path names the agent. */
function svidPath(leaf: Certificate, config: X509PopServerConfig, trustDomainId: string): string {
  if (config.mode !== 'spiffe') return '';
  const [id, ...others] = leaf.uris.filter((uri) => uri.startsWith('spiffe://'));
  if (id === undefined || others.length > 0) throw deniedEvidence('SVID_PREFIX', 'valid SVID x509 cert not found');
  const prefix = trustDomainId + config.spiffe_prefix;
  if (!id.startsWith(prefix)) throw deniedEvidence('SVID_PREFIX', 'x509 cert doesnt match SVID prefix');
  return id.slice(prefix.length);
}
