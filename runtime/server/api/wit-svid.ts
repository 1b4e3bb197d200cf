// WIT-SVIDs, which this server does not sign: what is asked for is judged as SPIRE's server does that has no key for them, item by item.
import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { NewWITSVIDParams } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { internal, invalidArgument, notFound } from '../../rpc/status.ts';
import { checkArgument } from './refusal.ts';

const rsaAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const curves: Readonly<Record<string, { readonly name: string; readonly algorithm: string }>> = {
  prime256v1: { name: 'ec-p256', algorithm: 'ES256' },
  secp384r1: { name: 'ec-p384', algorithm: 'ES384' },
  secp521r1: { name: 'ec-p521', algorithm: 'ES512' },
};

/** Throws what the item's status becomes. */
export function refuseWitSvid(
  { entryId, publicKey, signingAlgorithm }: NewWITSVIDParams,
  isAuthorized: (entryId: string) => boolean,
): never {
  if (entryId === '') throw invalidArgument('missing entry ID');
  if (publicKey.length === 0) throw invalidArgument('missing public key');
  if (!isAuthorized(entryId)) throw notFound('entry not found or not authorized');
  const key = checkArgument('malformed public key', () =>
    createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' }),
  );
  checkArgument('invalid signing algorithm or key type', () => checkAlgorithm(key, signingAlgorithm));
  throw internal('failed to sign WIT-SVID: WIT key is not available for signing');
}

function checkAlgorithm(
  { asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject,
  algorithm: string,
): void {
  if (type === 'rsa') {
    if (!rsaAlgorithms.includes(algorithm)) throw new Error(`unsupported signing algorithm for RSA key: ${algorithm}`);
    return;
  }
  const curve = curves[details?.namedCurve ?? ''];
  if (type !== 'ec' || curve === undefined) throw new Error(`unsupported key type '${String(type)}'`);
  if (algorithm !== curve.algorithm)
    throw new Error(`unsupported signing algorithm for ${curve.name} key: ${algorithm}`);
}
