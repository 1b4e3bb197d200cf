// What the changes of the database matrix are made of: one attempt that can be made again, how much of it is there, and what several of them need.
import { randomUUID } from 'node:crypto';
import type { AgentService } from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { createCsr } from '../../../runtime/pki/csr.ts';
import { issueSelfSignedCa } from '../../../runtime/pki/issue.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import type { Client } from '../../../runtime/rpc/service.ts';
import { internal, RpcError, statusCode } from '../../../runtime/rpc/status.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import type { CutStage } from './cut-stage.ts';

/** One attempt at a change, prepared so that it can be made again. */
export interface Change {
  /** Throws an RpcError where the server says that it failed. What says that it is done already is no failure. */
  readonly make: () => Promise<unknown>;
  /** How much of the change is there: 0 none, 1 all. Anything between is half of it. */
  readonly measure: () => Promise<number>;
}

export type Prepare = (stage: CutStage) => Promise<Change>;

export const example = (path: string) => ({ trustDomain: 'example.org', path });
export const outputMask = undefined;
export const inputMask = undefined;

/** The share of those that fit. */
export async function share<T>(of: readonly T[], fits: (item: T) => Promise<boolean>): Promise<number> {
  const fitting = await Promise.all(of.map(fits));
  return fitting.filter(Boolean).length / of.length;
}

/** The first status that is none of those; batches tell their failures item by item. */
export function checkResults(
  results: readonly { status?: { code: number; message: string } | undefined }[],
  ...allowed: number[]
): void {
  const failed = results.find(({ status }) => status !== undefined && ![0, ...allowed].includes(status.code));
  if (failed?.status !== undefined) throw internal(failed.status.message);
}

export const { ALREADY_EXISTS: alreadyExists, NOT_FOUND: notFound } = statusCode;

export async function withoutMissing(act: () => Promise<unknown>, allowed: RegExp): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof RpcError) || !allowed.test(error.message)) throw error;
  }
}

export function newAuthority(trustDomain = 'example.org'): Uint8Array {
  const signer = signerOf(generateKeyPairSync('ec-p256').privateKey);
  const now = Date.now();
  const spiffeId = parseSpiffeId(`spiffe://${trustDomain}`);
  const subject = { country: 'US', organization: 'SPIFFE' };
  return issueSelfSignedCa({ signer, subject, spiffeId, notBefore: now - 10_000, notAfter: now + 86_400_000 }).der;
}

export function newForeignBundles() {
  return Array.from({ length: 2 }, () => {
    const trustDomain = `${randomUUID()}.test`;
    return {
      trustDomain,
      x509Authorities: [{ asn1: newAuthority(trustDomain), tainted: false }],
      jwtAuthorities: [],
      witAuthorities: [],
      refreshHint: 60,
      sequenceNumber: 1,
    };
  });
}

export async function exists(find: () => Promise<unknown>): Promise<boolean> {
  try {
    await find();
    return true;
  } catch (error) {
    if (error instanceof RpcError && error.code === notFound) return false;
    throw error;
  }
}

/** By a join token. */
export async function attest(
  agent: Client<typeof AgentService>,
  token: string,
  key = generateKeyPairSync('ec-p256').privateKey,
) {
  const csr = createCsr({ signer: signerOf(key) });
  const data = { type: 'join_token', payload: Buffer.from(token) };
  async function* params() {
    yield { step: { $case: 'params' as const, value: { data, params: { csr } } } };
  }
  for await (const { step } of agent.attestAgent(params())) if (step?.$case === 'result') return step.value;
  throw new Error('the server ended the exchange without a result');
}
