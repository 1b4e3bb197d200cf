// A trust domain below a root that is not ours: the CA that openssl made for it signs the servers', every workload's chain ends at its root, and its key is
// where the server reads it and nowhere else.
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stem } from '../../activities/cloud.ts';
import { accountEmail } from '../../activities/clients/gcp-identities.ts';
import { parseCertificate, subjectText } from '../../runtime/pki/certificate.ts';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import { fetchHistoryTree } from '../replay/history-tree.ts';
import { findSecrets } from '../replay/secret-shapes.ts';
import { makeExternalAuthority } from './support/external-authority.ts';
import { opensslVerify } from './support/openssl.ts';
import { output } from './support/processes.ts';
import { root } from './support/programs.ts';
import { growDomain } from './support/running-domain.ts';
import type { RunningDomain } from './support/running-domain.ts';
import { createStage } from './support/stage.ts';

const trustDomain = 'external.test';
const stage = createStage();
const state = join(root, '.espalier/peers/external-root');
const authority = join(state, 'upstream-authority');
let domain: RunningDomain;

/** An upstream on GCP and a segment on AWS, as little of each as there can be. */
const spec = {
  trustDomain,
  upstream: { authority: 'disk' },
  segments: [{ name: 'aws', cloud: 'aws', region: 'us-east-1', nodes: 1, attestor: 'aws_iid' }],
  workloads: [
    {
      ...{ segment: 'aws', environment: 'prod', team: 'demo', name: 'workload-b' },
      selectors: ['unix:path:{image}/opt/demo/workload-b'],
    },
  ],
};

beforeAll(async () => {
  rmSync(authority, { recursive: true, force: true });
  await makeExternalAuthority(authority);
  const specFile = join(stage.directory, 'trust-domain.yaml');
  writeFileSync(specFile, JSON.stringify(spec)); // JSON is YAML
  domain = stage.add(await growDomain(stage.directory, { state, specFile }));
});
afterAll(() => stage.strike());

const externalRoot = (): string => readFileSync(join(authority, 'bundle.pem'), 'utf8');

describe('a trust domain below an external root', () => {
  it('has that root in its bundle, and no other', async () => {
    expect(certificatesFromPem(await domain.bundlePem())).toEqual(certificatesFromPem(externalRoot()));
  });

  it('gives a workload a chain that openssl follows to that root', async () => {
    const id = `spiffe://${trustDomain}/test/aws/peers/workload`;
    const { env } = await domain.admit('aws', id, `unix:uid:${process.getuid?.() ?? 0}`);
    const { SPIFFE_ENDPOINT_SOCKET: socket = '' } = env;
    await expect
      .poll(() => fetchSvid(id, socket), { timeout: 60_000 })
      .toEqual(expect.stringContaining('BEGIN CERTIFICATE'));
    const chain = await fetchSvid(id, socket);
    expect(certificatesFromPem(chain).slice(1).map(parseCertificate).map(subjectText)).toEqual([
      expect.stringContaining('OU=DOWNSTREAM-2'),
      expect.stringContaining('CN=upstream-0'),
      'CN=Issuing,O=Enterprise',
    ]);
    expect(await opensslVerify(stage.directory, { bundle: externalRoot(), chain })).toBe('OK');
  });

  it('has the CA’s key where it came from and where the server reads it, both for their owner alone, and in no other file', () => {
    const line = readFileSync(join(authority, 'key.pem'), 'utf8').split('\n')[1] ?? '';
    expect(line).toHaveLength(64);
    const found = filesUnder(state).filter((path) => readFileSync(path).includes(line));
    expect(
      found.map((path) => path.slice(state.length + 1).replace(/^lab\/i\/\d+\/root\//, 'instance ')).sort(),
    ).toEqual([
      'instance etc/spire/server/authority/key.pem',
      'upstream-authority/above/issuing.key',
      'upstream-authority/key.pem',
    ]);
    expect(found.map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
  });

  it('lets the servers’ own identity read the secrets, and nobody else', async () => {
    const { project } = readLab().gcp;
    for (const part of ['certificate', 'key', 'bundle']) {
      const response = await onSecret(part, 'GET', ':getIamPolicy');
      expect(await response.json()).toMatchObject({
        bindings: [
          {
            role: 'roles/secretmanager.secretAccessor',
            members: [`serviceAccount:${accountEmail(project, trustDomain, 'upstream')}`],
          },
        ],
      });
    }
  });

  it('publishes a further root that is put into the secret, and goes on below the first', async () => {
    const successor = join(stage.directory, 'successor');
    await makeExternalAuthority(successor);
    const roots = externalRoot() + readFileSync(join(successor, 'bundle.pem'), 'utf8');
    const body = { payload: { data: Buffer.from(roots).toString('base64') } };
    expect((await onSecret('bundle', 'POST', ':addVersion', body)).status).toBe(200);
    await expect
      .poll(async () => certificatesFromPem(await domain.bundlePem()), { timeout: 120_000, interval: 1_000 })
      .toEqual(certificatesFromPem(roots));
  });

  it('has nothing secret in its histories', async () => {
    const { temporal, workflowId } = domain.summary;
    const connection = await Connection.connect({ address: temporal.address });
    try {
      const { workflow } = new Client({ connection, namespace: temporal.namespace });
      const histories = await fetchHistoryTree(workflow, { workflowId });
      expect(JSON.stringify(histories)).toContain('ensureUpstreamAuthority');
      expect(histories.flatMap(({ history }) => findSecrets(history))).toEqual([]);
    } finally {
      await connection.close();
    }
  });
});

function readLab() {
  return JSON.parse(readFileSync(join(state, 'lab/lab.json'), 'utf8')) as {
    endpoint: string;
    gcp: { accessToken: string; project: string };
  };
}

/** As the owner of the project. */
function onSecret(part: string, method: 'GET' | 'POST', act: string, body?: object): Promise<Response> {
  const { endpoint, gcp } = readLab();
  const secret = `${stem(trustDomain)}-upstream-authority-${part}`;
  return fetch(`${endpoint}/v1/projects/${gcp.project}/secrets/${secret}${act}`, {
    method,
    headers: { authorization: `Bearer ${gcp.accessToken}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** The chain, PEM; a text without one while the agent has none. */
async function fetchSvid(id: string, socket: string): Promise<string> {
  const words = ['api', 'fetch', 'x509', '-output', 'json', '-socketPath', socket.replace('unix://', '')];
  const answer = await output(join(root, 'bin/spire-agent'), words).catch(String);
  if (!answer.startsWith('{')) return answer;
  const { svids } = JSON.parse(answer) as { svids: { spiffe_id: string; x509_svid: string }[] };
  const der = svids.find(({ spiffe_id }) => spiffe_id === id)?.x509_svid ?? '';
  return pemOf(Buffer.from(der, 'base64'));
}

/** Certificates one after the other in DER, as the Workload API has them. */
function pemOf(ders: Buffer): string {
  const pems: string[] = [];
  for (let rest = ders; rest.length > 4;) {
    const length = 4 + rest.readUInt16BE(2);
    const base64 = rest
      .subarray(0, length)
      .toString('base64')
      .replace(/.{1,64}/g, '$&\n');
    pems.push(`-----BEGIN CERTIFICATE-----\n${base64}-----END CERTIFICATE-----\n`);
    rest = rest.subarray(length);
  }
  return pems.join('');
}

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
