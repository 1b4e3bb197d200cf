// The alert receiver over HTTP and mutual TLS: who is heard, what is refused and why, and what Temporal is asked for.
import { Agent, request as httpsRequest } from 'node:https';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { StartRunbooksOptions } from '../../../workers/alerts/start-runbooks.ts';
import { openReceiver } from '../../../workers/alerts/receiver.ts';
import type { Receiver, ReceiverOptions } from '../../../workers/alerts/receiver.ts';
import { readAlertSettings } from '../../../workers/alerts/settings.ts';

const secret = 'a-shared-secret-of-32-characters';
const directory = mkdtempSync(join(tmpdir(), 'alerts-'));
const receivers: Receiver[] = [];
const said: string[] = [];
afterEach(async () => {
  await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
  said.length = 0;
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Asked {
  readonly what: 'start' | 'signal';
  readonly workflow?: string;
  readonly id: string;
  readonly input?: object;
  readonly notice: object;
}

/** Temporal as the receiver uses it. */
function fakeTemporal({ isAway = false, running = true } = {}) {
  const asked: Asked[] = [];
  const client = {
    workflow: {
      async signalWithStart(workflow: string, options: { workflowId: string; args: [object]; signalArgs: [object] }) {
        if (isAway) throw new Error('connection refused');
        asked.push({
          what: 'start',
          workflow,
          id: options.workflowId,
          input: options.args[0],
          notice: options.signalArgs[0],
        });
      },
      getHandle: (id: string) => ({
        async signal(_name: string, notice: object) {
          if (!running) throw new WorkflowNotFoundError('gone', id, undefined);
          asked.push({ what: 'signal', id, notice });
        },
      }),
    },
  };
  return { asked, client: client as unknown as StartRunbooksOptions['client'] };
}

async function open(options: Partial<ReceiverOptions> & Pick<ReceiverOptions, 'client'>): Promise<Receiver> {
  const receiver = await openReceiver({
    host: '127.0.0.1',
    port: 0,
    trustDomain: 'example.org',
    request: { topology: { trustDomain: 'example.org' } },
    say: (line) => void said.push(line),
    secret,
    ...options,
  });
  receivers.push(receiver);
  return receiver;
}

const alert = (over: object = {}) => ({
  status: 'firing',
  labels: {
    alertname: 'SpireAgentDown',
    agent_id: 'spiffe://example.org/spire/agent/x',
    tier: 'gcp',
    trust_domain: 'example.org',
  },
  annotations: { runbook: 'agentUnreachable', summary: 'it is gone' },
  startsAt: '2026-11-26T12:00:00.000Z',
  endsAt: '0001-01-01T00:00:00Z',
  fingerprint: '0123456789abcdef',
  ...over,
});
const payload = (...alerts: object[]) => JSON.stringify({ version: '4', groupKey: '{}', receiver: 'espalier', alerts });

async function post(
  receiver: Receiver,
  body: string,
  headers: Record<string, string> = { authorization: `Bearer ${secret}` },
) {
  const response = await fetch(receiver.url, { method: 'POST', body, headers });
  return { status: response.status, text: await response.text() };
}

describe('an alert', () => {
  it('starts its runbook, with an id of its name and fingerprint, and what it is about', async () => {
    const { asked, client } = fakeTemporal();
    const receiver = await open({ client });
    expect((await post(receiver, payload(alert()))).status).toBe(200);
    expect(asked).toEqual([
      {
        what: 'start',
        workflow: 'agentUnreachable',
        id: 'agentUnreachable/example.org/SpireAgentDown-0123456789abcdef',
        input: {
          topology: { trustDomain: 'example.org' },
          subject: 'spiffe://example.org/spire/agent/x',
          tier: 'gcp',
          requester: 'alertmanager',
          reason: 'it is gone',
          alert: asked[0]?.notice,
        },
        notice: {
          status: 'firing',
          name: 'SpireAgentDown',
          fingerprint: '0123456789abcdef',
          startsAt: '2026-11-26T12:00:00.000Z',
          labels: alert().labels,
          summary: 'it is gone',
        },
      },
    ]);
  });

  it('that is resolved is told to the run that is under way, and is no failure where none is', async () => {
    const running = fakeTemporal();
    expect((await post(await open(running), payload(alert({ status: 'resolved' })))).text).toContain(
      '"outcome":"told"',
    );
    expect(running.asked).toMatchObject([{ what: 'signal', notice: { status: 'resolved' } }]);
    const ended = fakeTemporal({ running: false });
    expect((await post(await open(ended), payload(alert({ status: 'resolved' })))).text).toContain('"outcome":"over"');
  });

  it.each([
    [{ annotations: {} }, 'it names no runbook'],
    [{ annotations: { runbook: 'none' } }, 'it names no runbook'],
    [{ annotations: { runbook: 'tearDownTrustDomain' } }, 'no runbook has the name \\"tearDownTrustDomain\\"'],
    [{ labels: { alertname: 'A', trust_domain: 'other.org' } }, 'it is about trust domain \\"other.org\\"'],
  ])('with %j is left alone: %s', async (over, why) => {
    const { asked, client } = fakeTemporal();
    const answer = await post(await open({ client }), payload(alert(over)));
    expect(answer.text).toContain(why);
    expect([answer.status, asked]).toEqual([200, []]);
    expect(said.join()).toContain(why.replaceAll('\\', ''));
  });

  it('is asked for again where Temporal is away', async () => {
    const { client } = fakeTemporal({ isAway: true });
    expect(await post(await open({ client }), payload(alert()))).toEqual({
      status: 503,
      text: 'Temporal does not take it: connection refused\n',
    });
  });
});

describe('refused, and nothing is started', () => {
  it.each([
    ['no secret', payload(alert()), {}, 401, 'the shared secret is missing or wrong'],
    [
      'another secret',
      payload(alert()),
      { authorization: `Bearer ${secret}x` },
      401,
      'the shared secret is missing or wrong',
    ],
    ['no JSON', 'hello', undefined, 400, 'the body is no JSON'],
    ['another version', JSON.stringify({ version: '3', alerts: [] }), undefined, 400, 'version: '],
    [
      'a fault in an alert',
      payload(alert({ fingerprint: 'x', status: 'maybe' })),
      undefined,
      400,
      'the payload has 2 fault(s): alerts.0.status',
    ],
    [
      'a long body',
      payload(alert({ labels: { long: 'x'.repeat(1_048_577) } })),
      undefined,
      413,
      'longer than 1048576 bytes',
    ],
  ])('%s', async (_what, body, headers, status, text) => {
    const { asked, client } = fakeTemporal();
    const answer = await post(await open({ client }), body, headers);
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(text);
    expect(asked).toEqual([]);
    expect(said).toHaveLength(1);
    expect(said[0]).not.toContain(secret);
  });

  it('another method and another path', async () => {
    const receiver = await open(fakeTemporal());
    expect((await fetch(receiver.url)).status).toBe(405);
    expect((await fetch(`${receiver.url}/more`, { method: 'POST' })).status).toBe(404);
  });
});

describe('the receiver', () => {
  const { client } = fakeTemporal();
  it.each([
    [{ secret: undefined }, 'alerts need a shared secret, or TLS with the CA of their senders'],
    [{ secret: 'short' }, 'the shared secret has 5 characters, and must have 16 at least'],
    [{ host: '0.0.0.0' }, 'without TLS alerts are taken on loopback only: 0.0.0.0'],
  ])('does not open with %j', async (over, why) => {
    await expect(open({ client, ...over })).rejects.toThrow(why);
  });

  describe('with mutual TLS', () => {
    const file = (name: string): string => join(directory, name);
    const openssl = (...args: string[]): void =>
      void execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
    beforeAll(() => {
      const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
      for (const name of ['ca', 'foreign'])
        openssl(
          'req',
          '-x509',
          ...curve,
          '-keyout',
          `${name}.key`,
          '-out',
          `${name}.pem`,
          '-subj',
          `/CN=${name}`,
          '-days',
          '1',
        );
      for (const [name, ca] of [
        ['server', 'ca'],
        ['client', 'ca'],
        ['stranger', 'foreign'],
      ] as const) {
        openssl('req', ...curve, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
        writeFileSync(file('san.cnf'), 'subjectAltName=IP:127.0.0.1\n');
        openssl(
          'x509',
          '-req',
          '-in',
          `${name}.csr`,
          '-CA',
          `${ca}.pem`,
          '-CAkey',
          `${ca}.key`,
          '-CAcreateserial',
          '-out',
          `${name}.pem`,
          '-days',
          '1',
          '-extfile',
          'san.cnf',
        );
      }
    });
    const read = (name: string): string => readFileSync(file(name), 'utf8');
    const send = (receiver: Receiver, who?: string) =>
      new Promise<number>((resolve, reject) => {
        const identity = who === undefined ? {} : { cert: read(`${who}.pem`), key: read(`${who}.key`) };
        const agent = new Agent({ ca: read('ca.pem'), ...identity });
        httpsRequest(receiver.url, { method: 'POST', agent }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        })
          .once('error', reject)
          .end(payload(alert()));
      });

    it('hears those of the named CA, and nobody else', async () => {
      const { asked, client: temporal } = fakeTemporal();
      const tls = { certificate: read('server.pem'), key: read('server.key'), clientCa: read('ca.pem') };
      const receiver = await open({ client: temporal, secret: undefined, tls });
      expect(await send(receiver, 'client')).toBe(200);
      await expect(send(receiver, 'stranger')).rejects.toThrow();
      await expect(send(receiver)).rejects.toThrow();
      expect(asked).toHaveLength(1);
    });
  });
});

describe('its settings', () => {
  const flags = {
    listen: '127.0.0.1:9095',
    secretFile: undefined,
    tlsCertificate: undefined,
    tlsKey: undefined,
    clientCa: undefined,
    topology: undefined,
    spec: 'trust-domain.yaml',
  };
  it('are read from files that nobody else can read', () => {
    const file = join(directory, 'secret');
    writeFileSync(file, `${secret}\n`);
    chmodSync(file, 0o644);
    expect(() => readAlertSettings({ ...flags, secretFile: file })).toThrow(`${file} can be read by others`);
    chmodSync(file, 0o600);
    expect(readAlertSettings({ ...flags, secretFile: file })).toMatchObject({
      host: '127.0.0.1',
      port: 9095,
      secret,
      trustDomain: 'example.org',
    });
  });

  it.each([
    [{ listen: 'nowhere' }, '--listen must be an address and a port: nowhere'],
    [{ listen: '127.0.0.1:99999' }, '--listen must be an address and a port: 127.0.0.1:99999'],
    [{ tlsKey: 'x' }, '--tls-certificate and --tls-key belong together'],
    [{ clientCa: 'x' }, '--client-ca needs --tls-certificate'],
  ])('with %j are refused', (over, why) => {
    expect(() => readAlertSettings({ ...flags, ...over })).toThrow(why);
  });

  it('take servers that somebody else stood up', () => {
    const file = join(directory, 'topology.json');
    writeFileSync(file, '{"tiers": []}');
    expect(() => readAlertSettings({ ...flags, topology: file })).toThrow(`${file} names no trustDomain`);
    writeFileSync(file, '{"trustDomain": "other.org", "tiers": []}');
    expect(readAlertSettings({ ...flags, topology: file })).toMatchObject({
      trustDomain: 'other.org',
      request: { topology: { tiers: [] } },
    });
  });
});
