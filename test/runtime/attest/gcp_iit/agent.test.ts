// The agent half of gcp_iit against a metadata server, and against what is none.
import { describe, expect, it } from 'vitest';
import { createGcpIitAgentAttestor } from '../../../../runtime/attest/gcp_iit/agent.ts';
import { startHttpService } from '../http-service.ts';
import type { Answer } from '../http-service.ts';
import { bytes, expectRefusal, log, text, trustDomain } from '../server-context.ts';

describe('the agent half of gcp_iit', () => {
  const start = (reply: Answer) => startHttpService(() => reply);

  it('sends the token as the metadata server gives it, asked for our audience in full', async () => {
    const metadata = await start({ headers: { 'Metadata-Flavor': 'Google' }, body: 'a.b.c' });
    const attestor = createGcpIitAgentAttestor({}, { trustDomain, log, env: { GCE_METADATA_HOST: metadata.host } });
    expect(text(await attestor.payload())).toBe('a.b.c');
    const [request] = metadata.requests;
    expect(request?.url).toBe(
      '/computeMetadata/v1/instance/service-accounts/default/identity?audience=spire-gcp-node-attestor&format=full',
    );
    expect(request?.headers['metadata-flavor']).toBe('Google');
    await metadata.close();
  });

  it.each<[string, Answer]>([
    ['is another service', { body: 'a.b.c' }],
    ['refuses', { status: 403 }],
    ['redirects', { status: 301, headers: { Location: 'http://127.0.0.1:9/', 'Metadata-Flavor': 'Google' } }],
  ])('fails where the metadata server %s', async (_name, reply) => {
    const metadata = await start(reply);
    const attestor = createGcpIitAgentAttestor({ identity_token_host: metadata.host }, { trustDomain, log });
    await expectRefusal(attestor.payload(), 'INTERNAL', 'EVIDENCE_UNAVAILABLE');
    await metadata.close();
  });

  it('has no answer to a challenge', async () => {
    const attestor = createGcpIitAgentAttestor({}, { trustDomain, log });
    await expectRefusal(attestor.respond(bytes('x')), 'INVALID_ARGUMENT', 'CHALLENGE_UNEXPECTED');
  });
});
