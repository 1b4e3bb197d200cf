// Issued SVIDs as the API carries them.
import type { JWTSVID } from '../../../../proto/gen/spire/api/types/jwtsvid.ts';
import type { X509SVID } from '../../../../proto/gen/spire/api/types/x509svid.ts';
import type { SpiffeId } from '../../../spiffe/spiffe-id.ts';
import type { IssuedJwtSvid, IssuedX509Svid } from '../../ca/authority.ts';
import { encodeSpiffeId } from './spiffe-id.ts';

export function encodeX509Svid(id: SpiffeId, { chain, expiresAt }: IssuedX509Svid): X509SVID {
  return { certChain: encodeChain(chain), id: encodeSpiffeId(id), expiresAt: seconds(expiresAt), hint: '' };
}

export function encodeChain(chain: IssuedX509Svid['chain']): Uint8Array[] {
  return chain.map((certificate) => certificate.der);
}

export function encodeJwtSvid(id: SpiffeId, { token, issuedAt, expiresAt }: IssuedJwtSvid): JWTSVID {
  return { token, id: encodeSpiffeId(id), expiresAt: seconds(expiresAt), issuedAt: seconds(issuedAt), hint: '' };
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
