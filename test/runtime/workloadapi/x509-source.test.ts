import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { WorkloadApi } from '../../../runtime/workloadapi/workload-api.ts';
import { createX509Source } from '../../../runtime/workloadapi/x509-source.ts';
import type { X509Source } from '../../../runtime/workloadapi/x509-source.ts';
import { createTestCa } from '../rpc/test-ca.ts';
import { startAgent, x509Response } from './fake-agent.ts';

const ca = createTestCa('example.org');
const foreign = createTestCa('foreign.test');

function updateOf(source: X509Source): Promise<void> {
  return new Promise((resolve) => {
    const stop = source.onUpdate(() => {
      stop();
      resolve();
    });
  });
}

test('a source has an SVID and its bundle from the start', async () => {
  const { api } = await startAgent(x509Response(ca, [ca.issue('/a')]));
  const source = await createX509Source({ api });
  onTestFinished(() => source.close());
  expect(source.svid().id.toString()).toBe('spiffe://example.org/a');
  expect(source.bundle(ca.trustDomain).x509Authorities).toHaveLength(1);
  expect(() => source.bundle(foreign.trustDomain)).toThrow('no bundle of trust domain foreign.test');
});

test('a source waits for an identity that is not issued yet', async () => {
  const agent = await startAgent(undefined);
  const waiting = createX509Source({ api: agent.api });
  await delay(150);
  agent.say(x509Response(ca, [ca.issue('/late')]));
  const source = await waiting;
  onTestFinished(() => source.close());
  expect(source.svid().id.path).toBe('/late');
});

test('a rotation reaches the source at once', async () => {
  const agent = await startAgent(x509Response(ca, [ca.issue('/a')]));
  const source = await createX509Source({ api: agent.api });
  onTestFinished(() => source.close());
  const before = source.svid();
  const updated = updateOf(source);
  agent.say(x509Response(ca, [ca.issue('/a')]));
  await updated;
  expect(source.svid()).not.toBe(before);
  expect(source.svid().id.equals(before.id)).toBe(true);
});

test('a source keeps what it has while the agent is away, and hears of changes after its return', async () => {
  const agent = await startAgent(x509Response(ca, [ca.issue('/a')]));
  const source = await createX509Source({ api: agent.api });
  onTestFinished(() => source.close());
  await agent.stop();
  await delay(100);
  expect(source.svid().id.path).toBe('/a');
  agent.say(x509Response(ca, [ca.issue('/b')]));
  const updated = updateOf(source);
  await agent.start();
  await updated;
  expect(source.svid().id.path).toBe('/b');
});

test('an answer that cannot be used changes nothing', async () => {
  const agent = await startAgent(x509Response(ca, [ca.issue('/a')]));
  const warned: object[] = [];
  const log = { warn: (fields: object) => warned.push(fields), error: () => undefined };
  const source = await createX509Source({ api: agent.api, log });
  onTestFinished(() => source.close());
  agent.say({ svids: [], crl: [], federatedBundles: {} });
  await expect.poll(() => warned).toMatchObject([{ err: { code: 'NO_SVID' } }]);
  expect(source.svid().id.path).toBe('/a');
});

test('a source that is closed while it waits says so', async () => {
  const { api } = await startAgent(undefined);
  const controller = new AbortController();
  const waiting = createX509Source({ api, signal: controller.signal });
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ name: 'WorkloadError', code: 'CLOSED' });
});

test('a closed source ends its stream', async () => {
  const agent = await startAgent(x509Response(ca, [ca.issue('/a')]));
  const signals: (AbortSignal | undefined)[] = [];
  const fetchX509Svid: WorkloadApi['fetchX509Svid'] = (limits) => {
    signals.push(limits?.signal);
    return agent.api.fetchX509Svid(limits);
  };
  const source = await createX509Source({ api: { fetchX509Svid } });
  source.close();
  expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
});
