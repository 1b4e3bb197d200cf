// Secret discovery over the agent's socket: an Envoy's streams, and who gets none.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { SecretDiscoveryServiceService } from '../../../../proto/gen/envoy/service/secret/v3/sds.ts';
import type {
  DiscoveryRequest,
  DiscoveryResponse,
} from '../../../../proto/gen/envoy/service/discovery/v3/discovery.ts';
import { parseCertificate } from '../../../../runtime/pki/certificate.ts';
import { certificatesFromPem } from '../../../../runtime/pki/pem.ts';
import { createClient } from '../../../../runtime/rpc/client.ts';
import { createQueue } from '../../../../runtime/rpc/queue.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { ask, readSecrets } from '../../../support/envoy-secrets.ts';
import { startFakeSpireServer } from '../../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../../support/fake-spire-server.ts';
import { startAgent } from '../../../support/run-agent.ts';
import type { RunningAgent } from '../../../support/run-agent.ts';

const mine = `unix:uid:${process.getuid?.() ?? 0}`;
let server: FakeSpireServer;
let agent: RunningAgent;

beforeAll(async () => {
  server = await startFakeSpireServer();
});
afterAll(() => server.close());
beforeEach(() => server.setEntries({ path: '/workload', selectors: [mine] }));
afterEach(() => agent.remove());

async function start(settings = '', experimental = '', of = server): Promise<void> {
  const { port } = of;
  const [bundlePem, joinToken] = [of.bundlePem(), of.createToken()];
  agent = await startAgent({ port, bundlePem, joinToken, settings, experimental });
  await agent.serving();
}

function openStream() {
  const requests = createQueue<DiscoveryRequest>();
  const answers = createClient(SecretDiscoveryServiceService, agent.channel)
    .streamSecrets(requests)
    [Symbol.asyncIterator]();
  return {
    requests,
    next: async () => (await answers.next()).value as DiscoveryResponse,
    end: async () => {
      requests.end();
      return (await answers.next()).done;
    },
  };
}

describe('StreamSecrets', () => {
  it('gives certificate, key and bundle, and the next ones after a rotation', async () => {
    await start();
    const { requests, next, end } = openStream();
    requests.push(ask(['default', 'ROOTCA']));
    const first = await next();
    const [roots, certificate] = readSecrets(first.resources);
    expect(roots).toEqual({ name: 'ROOTCA', trustDomains: { 'example.org': server.bundlePem() } });
    const [leaf] = certificatesFromPem(certificate!.certificate!);
    expect(parseCertificate(leaf!).uris).toEqual(['spiffe://example.org/workload']);
    requests.push(ask(['default', 'ROOTCA'], { versionInfo: first.versionInfo, responseNonce: first.nonce }));
    server.setEntries({ path: '/workload', selectors: [mine], revisionNumber: 1 });
    await expect
      .poll(async () => readSecrets((await next()).resources)[1]!.certificate)
      .not.toBe(certificate!.certificate);
    expect(await end()).toBe(true);
  });

  it('refuses names that are not the workload’s', async () => {
    await start();
    const { requests, next } = openStream();
    requests.push(ask(['spiffe://example.org/other']));
    await expect(next()).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'workload is not authorized for the requested identities ["spiffe://example.org/other"]',
    });
  });

  it('refuses a process that no entry matches whatever it asks for, and gives it the bundle', async () => {
    server.setEntries();
    await start();
    const bundle = openStream();
    bundle.requests.push(ask([]));
    expect(readSecrets((await bundle.next()).resources).map(({ name }) => name)).toEqual(['spiffe://example.org']);
    const own = openStream();
    own.requests.push(ask(['default']));
    await expect(own.next()).rejects.toMatchObject({ code: statusCode.INVALID_ARGUMENT });
  });

  it('ends when the identity that it serves is taken away', async () => {
    await start();
    const { requests, next } = openStream();
    requests.push(ask(['default']));
    await next();
    server.setEntries();
    await expect(next()).rejects.toMatchObject({ code: statusCode.INVALID_ARGUMENT });
  });

  it('ends when the SVID that it serves ends while the server is away', async () => {
    const brief = await startFakeSpireServer();
    onTestFinished(() => brief.close());
    brief.state.svidTtl = 3_000;
    brief.setEntries({ path: '/workload', selectors: [mine] });
    await start('', '', brief);
    const { requests, next } = openStream();
    requests.push(ask(['default']));
    await next();
    await brief.close();
    const untilItFails = async (): Promise<unknown> => {
      for (;;) await next();
    };
    await expect(untilItFails()).rejects.toMatchObject({ code: statusCode.INVALID_ARGUMENT });
  });
});

describe('FetchSecrets', () => {
  it('answers once, without version and nonce', async () => {
    await start('sds { default_svid_name = "me" default_bundle_name = "us" disable_spiffe_cert_validation = true }');
    const answer = await createClient(SecretDiscoveryServiceService, agent.channel).fetchSecrets(ask(['me', 'us']));
    expect({ versionInfo: answer.versionInfo, nonce: answer.nonce }).toEqual({ versionInfo: '', nonce: '' });
    const [roots, certificate] = readSecrets(answer.resources);
    expect(roots).toEqual({ name: 'us', roots: server.bundlePem() });
    expect(certificate!.name).toBe('me');
  });

  it('does not count the agent’s own calls, which a health check makes', async () => {
    await start('', 'ratelimit { fetch_secrets = 1 }');
    const { fetchSecrets } = createClient(SecretDiscoveryServiceService, agent.channel);
    await fetchSecrets(ask(['ROOTCA'])); // the agent runs in this process
    await fetchSecrets(ask(['ROOTCA']));
    expect(agent.lines.join('')).toContain(
      'msg="Workload API/SDS rate limiting enabled" limit=1 method=/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets',
    );
  });
});

it('DeltaSecrets is not implemented, as in SPIRE', async () => {
  await start();
  const requests = createQueue<never>();
  const answers = createClient(SecretDiscoveryServiceService, agent.channel).deltaSecrets(requests);
  await expect(answers[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: statusCode.UNIMPLEMENTED,
    message: 'Method is not implemented',
  });
});

it('disable_sds_api leaves the Workload API alone', async () => {
  await start('disable_sds_api = true');
  const { fetchSecrets } = createClient(SecretDiscoveryServiceService, agent.channel);
  await expect(fetchSecrets(ask(['ROOTCA']))).rejects.toMatchObject({ code: statusCode.UNIMPLEMENTED });
  expect(agent.lines.join('')).toContain('apis="Workload API"');
});
