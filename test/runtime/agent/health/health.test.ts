// What the agent's probes are answered before and while it serves workloads.
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { AgentHealth, listenForProbes } from '../../../../runtime/agent/health/health.ts';

let health: AgentHealth;
let listener: Server;
beforeEach(async () => {
  health = new AgentHealth();
  listener = await listenForProbes({ host: '127.0.0.1', port: 0, livePath: '/live', readyPath: '/ready' }, health);
});
afterEach(() => void listener.close());

async function probe(path: string): Promise<[number, string]> {
  const { port } = listener.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return [response.status, await response.text()];
}

test('it is live before it serves, and not ready', async () => {
  expect(await probe('/live')).toEqual([200, '{"agent":{}}\n']);
  expect(await probe('/ready')).toEqual([500, '{"agent":{"make_new_x509_err":"workload api is unavailable"}}\n']);
});

test('it is live and ready while it serves', async () => {
  health.ready = true;
  expect(await probe('/live')).toEqual([200, '{"agent":{}}\n']);
  expect(await probe('/ready?verbose')).toEqual([200, '{"agent":{}}\n']);
});

test('any other path answers 404 with nothing', async () => {
  expect(await probe('/')).toEqual([404, '']);
});
