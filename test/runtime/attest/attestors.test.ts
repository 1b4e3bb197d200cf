// Attestors by name, with their configuration as it stands in SPIRE's files.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAgentAttestor } from '../../../runtime/attest/agent-attestors.ts';
import { createServerAttestor } from '../../../runtime/attest/server-attestors.ts';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { makeCertificate, rsaKeys } from './certificates.ts';
import { bytes, clock, expectRefusal, log, text, trustDomain } from './server-context.ts';

let directory = '';
let pem = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'attestors-'));
  pem = join(directory, 'region.pem');
  writeFileSync(pem, makeCertificate({ commonName: 'a', keys: rsaKeys() }).pem);
});
afterAll(() => rmSync(directory, { recursive: true }));

const server = (type: string, hcl: string) => createServerAttestor(type, parseHcl(hcl), { trustDomain, log, clock });
const agent = (type: string, hcl: string, joinToken?: string) =>
  createAgentAttestor(type, parseHcl(hcl), { trustDomain, log, ...(joinToken === undefined ? {} : { joinToken }) });

describe('a server attestor', () => {
  it('is made from a plugin block, as the boot scripts write it', () => {
    const webIdentity = 'web_identity { role_arn = "arn:aws:iam::000000000077:role/attestor" audience = "espalier" }';
    const regions = `region_certificates { "us-east-1" = "${pem}" "eu-west-1" = "${pem}" }`;
    expect(server('aws_iid', `${regions} ${webIdentity}`).type).toBe('aws_iid');
    expect(server('aws_iid', '').type).toBe('aws_iid');
    const url = 'http://127.77.0.1:4000/oauth2/v1/certs';
    expect(server('gcp_iit', `projectid_allow_list = ["espalier-lab"] certificates_url = "${url}"`).type).toBe(
      'gcp_iit',
    );
    expect(server('x509pop', `ca_bundle_path = "${pem}"`).type).toBe('x509pop');
  });

  it.each(['join_token', 'constructor', 'tpm_devid'])('is not made for %s', (type) => {
    expect(() => server(type, '')).toThrow(`configuration of NodeAttestor "${type}": no such node attestor`);
  });

  it('reports all faults of its configuration together', () => {
    const faulty = 'skip_blok_device = true partition = "mars" web_identity { audience = "" }';
    expect(() => server('aws_iid', faulty)).toThrow(
      /partition.*web_identity\.role_arn.*web_identity\.audience.*unknown key "skip_blok_device"/,
    );
  });
});

describe('an agent attestor', () => {
  it('of join_token sends the token and has no answer to a challenge', async () => {
    const attestor = await agent('join_token', '', 'token-1');
    expect(text(await attestor.payload())).toBe('token-1');
    await expectRefusal(attestor.respond(bytes('x')), 'INVALID_ARGUMENT', 'CHALLENGE_UNEXPECTED');
  });

  it.each([undefined, ''])('of join_token is not made for the token %j', async (joinToken) => {
    await expect(agent('join_token', '', joinToken)).rejects.toThrow('no join token was given');
  });

  it('is made from a plugin block', async () => {
    expect((await agent('aws_iid', '')).type).toBe('aws_iid');
    expect((await agent('gcp_iit', 'service_account = "node@x.iam.gserviceaccount.com"')).type).toBe('gcp_iit');
    expect((await agent('x509pop', 'certificate_path = "a" private_key_path = "b"')).type).toBe('x509pop');
  });

  it('refuses keys that it does not have', async () => {
    await expect(agent('join_token', 'token = "a"', 't')).rejects.toThrow(/unknown key "token"/);
    await expect(agent('x509pop', 'certificate_path = "a"')).rejects.toThrow(/private_key_path/);
    await expect(agent('gcp_iit', 'projectid_allow_list = []')).rejects.toThrow(/unknown key "projectid_allow_list"/);
    await expect(agent('nothing', '')).rejects.toThrow(/no such node attestor/);
  });
});
