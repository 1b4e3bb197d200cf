// k8s_psat's agent half: which token it sends, and when there is none.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createAgentAttestor } from '../../../../runtime/attest/agent-attestors.ts';
import { bytes, expectRefusal, log, text, trustDomain } from '../server-context.ts';

let directory: string;
let path: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8s-psat-agent-'));
  path = join(directory, 'token');
});
afterAll(() => rmSync(directory, { recursive: true }));

const agent = (data: Record<string, unknown>) => createAgentAttestor('k8s_psat', data, { trustDomain, log });

it('sends the token as it is now, with the name of its cluster', async () => {
  const attestor = await agent({ cluster: 'production', token_path: path });
  for (const token of ['first', 'second']) {
    writeFileSync(path, token);
    expect(text(await attestor.payload())).toBe(`{"cluster":"production","token":"${token}"}`);
  }
});

it('may attest again', async () => {
  expect((await agent({ cluster: 'production' })).isTrustedOnFirstUse).toBeUndefined();
});

it('has no token, where there is no file or nothing in it', async () => {
  const attestor = await agent({ cluster: 'production', token_path: join(directory, 'none') });
  const message = /^unable to load token from .*\/none: ENOENT$/;
  await expectRefusal(attestor.payload(), 'INTERNAL', 'EVIDENCE_UNAVAILABLE', message);
  writeFileSync(path, '');
  const empty = await agent({ cluster: 'production', token_path: path });
  await expectRefusal(empty.payload(), 'INTERNAL', 'EVIDENCE_UNAVAILABLE', /file is empty$/);
});

it('has no answer to a challenge', async () => {
  const attestor = await agent({ cluster: 'production' });
  await expectRefusal(attestor.respond(bytes('x')), 'INVALID_ARGUMENT', 'CHALLENGE_UNEXPECTED');
});

it('is not configured without a cluster, or with a key that it does not know', async () => {
  await expect(agent({})).rejects.toThrow(/cluster/);
  await expect(agent({ cluster: '' })).rejects.toThrow('cluster: must be the name of the cluster');
  await expect(agent({ cluster: 'a', audience: 'b' })).rejects.toThrow(/unknown key "audience"/);
});
