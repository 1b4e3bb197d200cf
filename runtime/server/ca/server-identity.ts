// The server's own X509-SVID, /spire/server, with a key that never leaves the process.
import { generateKeyPair } from '../../pki/key-type.ts';
import { certificatesToPem } from '../../pki/pem.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';
import { serverId } from '../../spiffe/spiffe-id.ts';
import { createCallCounter } from '../../telemetry/call-counter.ts';
import type { AuthorityContext } from './authority-context.ts';
import { AuthorityError } from './authority.ts';
import type { IssuedX509Svid, X509SvidRequest } from './authority.ts';
import type { X509Slot } from './slot.ts';

export interface ServerIdentity {
  /** Throws NOT_READY before the first. */
  readonly credentials: () => TlsCredentials;
  /** At half life, and at once when the authority that signed it is tainted. */
  renewIfDue(): Promise<void>;
}

export interface ServerIdentityOptions {
  readonly context: AuthorityContext;
  readonly activeX509: () => X509Slot;
  readonly sign: (request: X509SvidRequest) => IssuedX509Svid;
  /** Whether the bundle marks the root above this authority as tainted. */
  readonly isTainted: (slot: X509Slot) => boolean;
}

interface Current {
  readonly credentials: TlsCredentials;
  readonly signedBy: X509Slot;
  readonly halfLife: number;
}

export function createServerIdentity({ context, activeX509, sign, isTainted }: ServerIdentityOptions): ServerIdentity {
  const { trustDomain, clock, log, metrics } = context;
  const rotating = createCallCounter(metrics, ['svid', 'rotate']);
  let current: Current | undefined;

  const isDue = (): boolean => {
    if (current === undefined || clock() >= current.halfLife) return true;
    const { signedBy } = current;
    // Under a tainted active authority a new one would be tainted too.
    if (signedBy === activeX509() || !isTainted(signedBy)) return false;
    log.info('Server SVID signed using a tainted authority, forcing rotation of the Server SVID');
    return true;
  };

  const renew = async (): Promise<void> => {
    const { publicKey, privateKey } = await generateKeyPair('ec-p256');
    const [now, signedBy] = [clock(), activeX509()];
    const { chain, expiresAt } = sign({ publicKey, spiffeId: serverId(trustDomain) });
    const certificateChainPem = certificatesToPem(chain.map(({ der }) => der));
    current = { credentials: { certificateChainPem, privateKey }, signedBy, halfLife: now + (expiresAt - now) / 2 };
    log.debug({ expiration: new Date(expiresAt).toISOString() }, 'server X509-SVID renewed');
  };

  return {
    credentials() {
      if (current === undefined) throw new AuthorityError('NOT_READY', 'the server has no X509-SVID yet');
      return current.credentials;
    },
    async renewIfDue() {
      if (isDue()) await rotating.measure(renew);
    },
  };
}
