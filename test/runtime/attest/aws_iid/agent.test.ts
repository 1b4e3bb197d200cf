// The agent half of aws_iid against a metadata service, and its payload against the server half.
import { afterEach, describe, expect, it } from 'vitest';
import { createAwsIidAgentAttestor } from '../../../../runtime/attest/aws_iid/agent.ts';
import type { HttpService } from '../http-service.ts';
import { startHttpService } from '../http-service.ts';
import { bytes, expectRefusal, log, text, trustDomain } from '../server-context.ts';
import { startMetadataFake } from './metadata-fake.ts';

let service: HttpService | undefined;
afterEach(async () => service?.close());

const agent = (endpoint: string) =>
  createAwsIidAgentAttestor({}, { trustDomain, log, env: { AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint } });

describe('the agent half of aws_iid', () => {
  const identity = 'dynamic/instance-identity';
  const document = '{\n  "region" : "us-east-1"\n}';

  it('sends the document and both signatures, byte for byte, read with a session token', async () => {
    service = await startMetadataFake({
      [`${identity}/document`]: document,
      [`${identity}/signature`]: 'c2ln\nbg==',
      [`${identity}/rsa2048`]: 'MIAG\nCSqG',
    });
    const payload: unknown = JSON.parse(text(await agent(`${service.url}/`).payload()));
    expect(payload).toEqual({ document, signature: 'c2ln\nbg==', rsa2048: 'MIAG\nCSqG' });
  });

  it('does without the RSA-1024 signature, not without the other', async () => {
    service = await startMetadataFake({ [`${identity}/document`]: document, [`${identity}/rsa2048`]: 'MIAG' });
    expect(JSON.parse(text(await agent(service.url).payload()))).toEqual({ document, signature: '', rsa2048: 'MIAG' });
    await service.close();
    service = await startMetadataFake({ [`${identity}/document`]: document });
    await expectRefusal(
      agent(service.url).payload(),
      'INTERNAL',
      'EVIDENCE_UNAVAILABLE',
      /has no dynamic\/instance-identity\/rsa2048/,
    );
  });

  it('never falls back to version 1', async () => {
    service = await startHttpService(({ method }) => (method === 'PUT' ? { status: 405 } : { body: document }));
    await expectRefusal(
      agent(service.url).payload(),
      'INTERNAL',
      'EVIDENCE_UNAVAILABLE',
      /405 to a request for a token/,
    );
    expect(service.requests.every(({ method }) => method === 'PUT')).toBe(true);
  });

  it('has no answer to a challenge', async () => {
    await expectRefusal(agent('http://127.0.0.1:9').respond(bytes('x')), 'INVALID_ARGUMENT', 'CHALLENGE_UNEXPECTED');
  });
});
