// Which approvals count: under `named` anybody's word, under `signed` only a listed SVID's signature over this plan, gate and reason.
import { sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { approvalText, checkApproval } from '../../../activities/trust/approval.ts';
import type { Approval } from '../../../activities/trust/rotation.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { issueSelfSignedCa, issueX509Svid } from '../../../runtime/pki/issue.ts';
import { createSerialNumber } from '../../../runtime/pki/serial-number.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';

const now = Date.parse('2026-11-26T12:00:00Z');
const hour = 3_600_000;
const [alice, bob] = ['spiffe://example.org/people/alice', 'spiffe://example.org/people/bob'];

function createAuthority(trustDomain = 'example.org') {
  const signer = signerOf(generateKeyPairSync('ec-p256').privateKey);
  const certificate = issueSelfSignedCa({
    signer,
    serialNumber: createSerialNumber(),
    subject: { organization: 'test' },
    spiffeId: parseSpiffeId(`spiffe://${trustDomain}`),
    notBefore: now - hour,
    notAfter: now + 10 * hour,
  });
  return { certificate, signer };
}

const authority = createAuthority();

function signed(
  approval: Omit<Approval, 'signature'>,
  as = approval.approver,
  by = authority,
  endsAt = now + hour,
): Approval {
  const { publicKey, privateKey } = generateKeyPairSync('ec-p256');
  const leaf = issueX509Svid({
    issuer: by,
    publicKey,
    spiffeId: parseSpiffeId(as),
    notBefore: now - hour / 2,
    notAfter: endsAt,
  });
  const value = sign('sha256', Buffer.from(approvalText(approval)), privateKey).toString('base64');
  return { ...approval, signature: { certificates: [Buffer.from(leaf.der).toString('base64')], value } };
}

const plain = { planDigest: 'ab', gate: 'revocation', approver: alice, reason: 'seen' } as const;
const rules = {
  policy: { approvals: 'signed', approvers: [alice, bob] },
  requester: bob,
  roots: [authority.certificate.der],
  now,
} as const;

test('a signature of a listed SVID over the plan counts', () => {
  expect(() => checkApproval(signed(plain), rules)).not.toThrow();
});

test('under "named" a name is enough, where no approvers are listed', () => {
  const named = { ...rules, policy: { approvals: 'named' as const, approvers: [] } };
  expect(() => checkApproval({ ...plain, approver: 'alice' }, named)).not.toThrow();
});

const good = signed(plain);
const refusals: [string, Approval, Partial<Parameters<typeof checkApproval>[1]>, string][] = [
  ['names nobody', { ...plain, approver: '' }, {}, 'it names no approver'],
  ['has a line break in its reason', { ...good, reason: 'seen\nactivation' }, {}, 'must be one line each'],
  ['is of somebody who is not listed', signed({ ...plain, approver: `${alice}2` }), {}, 'does not list'],
  ['is of whoever asked for the change', good, { requester: alice }, 'asked for this change and cannot approve it'],
  ['is not signed', plain, {}, 'it has no signature'],
  [
    'wants signatures of nobody in particular',
    good,
    { policy: { approvals: 'signed', approvers: [] } },
    'lists no approvers',
  ],
  ['is signed by another SVID', signed(plain, bob), {}, `${bob} signed it, not ${alice}`],
  ['is signed under another authority', signed(plain, alice, createAuthority()), {}, 'do not verify'],
  ['is signed by an SVID that has ended', signed(plain, alice, authority, now - 1_000), {}, 'do not verify'],
  ['was signed for another plan', { ...good, planDigest: 'cd' }, {}, 'is not of this plan'],
  ['was signed for another gate', { ...good, gate: 'activation' }, {}, 'is not of this plan'],
  ['was signed for another reason', { ...good, reason: 'whatever' }, {}, 'is not of this plan'],
  [
    'has no certificate',
    { ...good, signature: { certificates: [], value: good.signature?.value ?? '' } },
    {},
    'do not verify',
  ],
  [
    'has certificates that are none',
    { ...good, signature: { certificates: ['AA=='], value: '' } },
    {},
    'do not verify',
  ],
];
test.each(refusals)('one that %s does not', (_name, approval, other, message) => {
  const attempt = () => checkApproval(approval, { ...rules, ...other });
  expect(attempt).toThrow(/^the approval does not count: /);
  expect(attempt).toThrow(message);
});
