// The files of an authority above the root: what is refused before it reaches a secret store, and that no refusal quotes the key.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readUpstreamAuthority } from '../../../activities/cloud/upstream-authority.ts';
import { createEnterpriseRoot } from '../../support/enterprise-ca.ts';
import type { EnterpriseCa } from '../../support/enterprise-ca.ts';

const root = createEnterpriseRoot('Root');
const policy = root.issue('Policy');
const issuing = policy.issue('Issuing');
const stranger = createEnterpriseRoot('Stranger');

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'espalier-authority-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, `${name}.pem`);

function put(ca: EnterpriseCa, { chain = [] as EnterpriseCa[], roots = [root], key = ca.keyPem } = {}): void {
  writeFileSync(at('certificate'), [ca, ...chain].map(({ certificatePem }) => certificatePem).join(''));
  writeFileSync(at('bundle'), roots.map(({ certificatePem }) => certificatePem).join(''));
  writeFileSync(at('key'), key, { mode: 0o600 });
}

const read = (caTtl = '8000h', from: string | undefined = directory) =>
  readUpstreamAuthority(from, { caTtl, now: Date.now() });

async function refusal(caTtl?: string): Promise<string> {
  const error: unknown = await read(caTtl).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toMatchObject({ type: 'InvalidRequest', nonRetryable: true });
  const { message } = error as Error;
  expect(message).not.toContain('PRIVATE KEY');
  return message.replaceAll(directory, '…');
}

describe('the files of an authority above the root', () => {
  it('are read as they are', async () => {
    put(issuing, { chain: [policy] });
    expect(await read()).toEqual({
      certificate: issuing.certificatePem + policy.certificatePem,
      key: issuing.keyPem,
      bundle: root.certificatePem,
    });
  });

  it('may be those of the root itself', async () => {
    put(root);
    expect((await read()).bundle).toBe(root.certificatePem);
  });

  it('are refused where this worker has none', async () => {
    await expect(readUpstreamAuthority(undefined, { caTtl: '1h', now: 0 })).rejects.toThrow(
      'this worker has no ESPALIER_UPSTREAM_AUTHORITY_DIRECTORY',
    );
  });

  it('are each named where they are missing', async () => {
    expect(await refusal()).toBe(
      'upstream authority: …/certificate.pem cannot be read: ENOENT; …/key.pem cannot be read: ENOENT; …/bundle.pem cannot be read: ENOENT',
    );
  });

  it.each([0o644, 0o640, 0o604])('are refused with a key of mode %o', async (mode) => {
    put(root);
    chmodSync(at('key'), mode);
    expect(await refusal()).toBe(
      `upstream authority: …/key.pem has mode ${mode.toString(8)}: a key that others may read is nobody's secret, want 600`,
    );
  });

  it('are refused where one is larger than a secret may be', async () => {
    put(root);
    writeFileSync(at('bundle'), root.certificatePem.repeat(60));
    expect(await refusal()).toMatch(/bundle\.pem has \d+ bytes, at most 65536 can be kept as a secret$/);
  });

  it('are refused with the key of another', async () => {
    put(issuing, { chain: [policy], key: policy.keyPem });
    expect(await refusal()).toBe('upstream authority: …/key.pem is not the key of …/certificate.pem');
  });

  it('are refused with a key that is none', async () => {
    put(root, { key: root.keyPem.replace('MII', 'MIX') });
    expect(await refusal()).toBe('upstream authority: …/key.pem is not the key of …/certificate.pem');
  });

  it('are refused with a certificate that may not sign others', async () => {
    put(root.issue('Leaf', { isCa: false }));
    expect(await refusal()).toBe('upstream authority: …/certificate.pem is of nobody who may sign certificates');
  });

  it('are refused without a certificate', async () => {
    put(root);
    writeFileSync(at('certificate'), '');
    expect(await refusal()).toContain('upstream authority:');
  });

  it.each([
    ['another root', () => put(issuing, { chain: [policy], roots: [stranger] })],
    ['a gap', () => put(issuing)],
  ])('are refused where the chain ends at %s', async (_what, prepare) => {
    prepare();
    expect(await refusal()).toContain('upstream authority: … does not hold together: no authority is called');
  });

  it('are refused where too few CAs may stand below: the servers’ and the segments’', async () => {
    put(root.issue('Narrow', { pathLength: 1 }));
    expect(await refusal()).toBe(
      "upstream authority: its certificate 1 lets too few CAs stand below it: the servers' and those of the segments",
    );
    put(root.issue('Wide', { pathLength: 2 }));
    expect((await read()).bundle).toBe(root.certificatePem);
  });

  it('are refused where it would end before the CA that it is to sign', async () => {
    put(root.issue('Short', { notAfter: Date.now() + 7_200_000 }));
    expect(await refusal('3h')).toMatch(/^upstream authority: it ends at \S+, before a CA of ttl\.root would at \S+$/);
    expect((await read('1h')).bundle).toBe(root.certificatePem);
  });
});
