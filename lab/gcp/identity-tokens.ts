// Google identity tokens: JWTs that say which service account, and in the full format which instance, asked for them.
import { createPublicKey, createSign, createVerify } from 'node:crypto';
import type { LabContext } from '../context.ts';
import { signerOf } from './signer.ts';
import { project, projectNumber } from './state.ts';
import type { GceInstance, ServiceAccount } from './state.ts';

export const issuer = 'https://accounts.google.com';
const lifetimeSeconds = 3600;

export interface IdentityTokenRequest {
  readonly audience: string;
  readonly format: 'standard' | 'full';
}

export function createIdentityToken(
  context: LabContext,
  instance: GceInstance,
  account: ServiceAccount,
  request: IdentityTokenRequest,
): string {
  const issuedAt = Math.floor(context.clock() / 1000);
  const engine = {
    project_id: project,
    project_number: projectNumber,
    zone: instance.zone,
    instance_id: instance.id,
    instance_name: instance.name,
    instance_creation_timestamp: Math.floor(instance.createdAt / 1000),
  };
  return sign(context, {
    aud: request.audience,
    azp: account.uniqueId,
    email: account.email,
    email_verified: true,
    exp: issuedAt + lifetimeSeconds,
    ...(request.format === 'full' ? { google: { compute_engine: engine } } : {}),
    iat: issuedAt,
    iss: issuer,
    sub: account.uniqueId,
  });
}

export interface GoogleClaims {
  readonly subject: string;
  readonly audience: string;
  readonly authorizedParty: string;
}

/** The claims of a token that this lab's Google signed and that has not expired; `undefined` for any other. */
export function verifyIdentityToken(context: LabContext, token: string): GoogleClaims | 'expired' | undefined {
  const [head, body, signature, ...rest] = token.split('.');
  if (head === undefined || body === undefined || signature === undefined || rest.length > 0) return undefined;
  const header = decode(head);
  const claims = decode(body);
  const signer = signerOf(context);
  if (header?.['alg'] !== 'RS256' || header['kid'] !== signer.keyId) return undefined;
  const key = createPublicKey(signer.certificatePem);
  const signed = createVerify('sha256').update(`${head}.${body}`).verify(key, Buffer.from(signature, 'base64url'));
  if (!signed || claims?.['iss'] !== issuer) return undefined;
  if (Number(claims['exp']) * 1000 <= context.clock()) return 'expired';
  return { subject: String(claims['sub']), audience: String(claims['aud']), authorizedParty: String(claims['azp']) };
}

function sign(context: LabContext, claims: object): string {
  const { keyId, keyPem } = signerOf(context);
  const input = [{ alg: 'RS256', kid: keyId, typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${input}.${createSign('sha256').update(input).sign(keyPem).toString('base64url')}`;
}

function decode(part: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
