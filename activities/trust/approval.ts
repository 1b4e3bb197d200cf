// Whether somebody's approval counts: by name, or by the signature of an X509-SVID over the very plan that is about to be carried out.
import type { KeyObject } from 'node:crypto';
import { signatureAlgorithmFor, signerOf } from '../../runtime/pki/signer.ts';
import { verifySignature } from '../../runtime/pki/signature-algorithm.ts';
import { verifyX509Svid } from '../../runtime/pki/x509-svid.ts';
import { parseSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import type { SpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { failure, reasonOf } from '../failures.ts';
import type { Approval, RotationPolicy } from './rotation.ts';

/** What an approver signs: nothing of it can be used for another plan, another gate or in another name. */
export function approvalText({ planDigest, gate, approver, reason }: Omit<Approval, 'signature'>): string {
  return ['espalier approval', planDigest, gate, approver, reason].join('\n');
}

export function signApproval(approval: Omit<Approval, 'signature'>, privateKey: KeyObject): Uint8Array {
  return signerOf(privateKey).sign(new Uint8Array(Buffer.from(approvalText(approval), 'utf8')));
}

export interface ApprovalRules {
  readonly policy: Pick<RotationPolicy, 'approvals' | 'approvers'>;
  readonly requester: string;
  /** DER of the trust domain's authorities. */
  readonly roots: readonly Uint8Array[];
  /** Epoch milliseconds. */
  readonly now: number;
}

/** Throws PermissionDenied with the reason. */
export function checkApproval(approval: Approval, { policy, requester, roots, now }: ApprovalRules): void {
  const { approver, reason, signature } = approval;
  if (approver === '') throw refuse('it names no approver');
  if (/[\n\r]/.test(approver + reason)) throw refuse('approver and reason must be one line each');
  if (policy.approvers.length > 0 && !policy.approvers.includes(approver))
    throw refuse(`the policy does not list ${JSON.stringify(approver)} among its approvers`);
  if (policy.approvals !== 'signed') return;
  if (approver === requester) throw refuse(`${JSON.stringify(approver)} asked for this change and cannot approve it`);
  if (policy.approvers.length === 0) throw refuse('the policy wants signatures and lists no approvers');
  if (signature === undefined) throw refuse('the policy wants it signed, and it has no signature');
  checkSignature(approval, signature, roots, now);
}

function checkSignature(
  approval: Approval,
  { certificates, value }: NonNullable<Approval['signature']>,
  roots: readonly Uint8Array[],
  now: number,
): void {
  const chain = certificates.map((text) => new Uint8Array(Buffer.from(text, 'base64')));
  const id = approverId(approval.approver);
  const { id: signer, leaf } = verified(chain, roots, id, now);
  if (!signer.equals(id)) throw refuse(`${signer.toString()} signed it, not ${approval.approver}`);
  const { publicKey } = leaf;
  const text = new Uint8Array(Buffer.from(approvalText(approval), 'utf8'));
  const bytes = new Uint8Array(Buffer.from(value, 'base64'));
  if (!verifySignature(signatureAlgorithmFor(publicKey), publicKey, text, bytes))
    throw refuse('its signature is not of this plan, gate, approver and reason');
}

function verified(chain: readonly Uint8Array[], roots: readonly Uint8Array[], { trustDomain }: SpiffeId, now: number) {
  try {
    return verifyX509Svid({ chain, roots, now, trustDomain });
  } catch (cause) {
    throw refuse(`its certificates do not verify: ${reasonOf(cause)}`);
  }
}

function approverId(text: string): SpiffeId {
  try {
    return parseSpiffeId(text);
  } catch (cause) {
    throw refuse(`approver ${JSON.stringify(text)} is no SPIFFE ID: ${String(cause)}`);
  }
}

function refuse(why: string) {
  return failure('PermissionDenied', `the approval does not count: ${why}`);
}
