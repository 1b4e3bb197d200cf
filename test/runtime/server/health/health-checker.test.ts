// The server's health as its parts come and go: what probes are answered, and what the log says.
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { createLog } from '../../../../runtime/log.ts';
import { createHealthChecker } from '../../../../runtime/server/health/health-checker.ts';
import { listenForHealth } from '../../../../runtime/server/health/health-listener.ts';

let now: number;
let lines: string[];
let faults: Partial<Record<'store' | 'ca', string>>;
let listener: Server;

const checkOf = (part: keyof typeof faults) => () => {
  const fault = faults[part];
  return fault === undefined ? Promise.resolve() : Promise.reject(new Error(fault));
};

beforeEach(async () => {
  now = 1_000_000;
  lines = [];
  faults = {};
  const log = createLog({ level: 'info', format: 'json', write: (line) => lines.push(line) });
  const checker = createHealthChecker(
    [
      { name: 'catalog.datastore', fault: 'list_bundle_err', check: checkOf('store') },
      { name: 'server.ca', fault: 'sign_x509_svid_err', check: checkOf('ca') },
    ],
    { clock: () => now, log },
  );
  listener = await listenForHealth({
    host: '127.0.0.1',
    port: 0,
    livePath: '/live',
    readyPath: '/ready',
    checker,
    log: createLog({ level: 'fatal', format: 'text', write: () => undefined }),
  });
});
afterEach(() => void listener.close());

/** A second later than the last. */
async function probe(path: string): Promise<[number, string]> {
  now += 1_000;
  const { port } = listener.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return [response.status, await response.text()];
}
const said = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);

test.each(['/live', '/ready'])('%s answers 200 and an empty object for each part that passes', async (path) => {
  expect(await probe(path)).toEqual([200, '{"catalog.datastore":{},"server.ca":{}}\n']);
});

test('/ready answers 500 with what ails a part, /live the same with 200', async () => {
  faults = { store: 'connection refused' };
  const body = '{"catalog.datastore":{"list_bundle_err":"connection refused"},"server.ca":{}}\n';
  expect(await probe('/ready')).toEqual([500, body]);
  expect(await probe('/live')).toEqual([200, body]);
});

test('any other path answers 404 with nothing', async () => {
  expect(await probe('/readyz')).toEqual([404, '']);
});

test('says nothing while parts come up, then once when one fails and once when it has recovered', async () => {
  faults = { store: 'not open yet', ca: 'no CA yet' };
  await probe('/ready');
  faults = { ca: 'no CA yet' };
  await probe('/ready');
  faults = {};
  await probe('/ready');
  expect(said()).toEqual([]);
  faults = { ca: 'key is gone' };
  await probe('/ready');
  await probe('/ready');
  faults = { ca: 'key is lost' };
  await probe('/live');
  faults = {};
  await probe('/ready');
  await probe('/ready');
  expect(said()).toMatchObject([
    { level: 'warning', msg: 'Health check failed', check: 'server.ca', error: 'key is gone' },
    {
      level: 'info',
      msg: 'Health check recovered',
      check: 'server.ca',
      error: 'key is lost',
      failures: 3,
      duration: 3,
    },
  ]);
});
