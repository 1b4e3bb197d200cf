// A machine on GCE. It reads Secret Manager over REST with its service account's token: Google's client library is not worth its size here.
import * as z from 'zod';
import { readBounded } from '../attest/bounded-body.ts';
import { createMetadataServer, metadataHost } from '../attest/gcp_iit/metadata-server.ts';
import { decodeBase64 } from '../attest/payload.ts';
import { serviceUrl } from '../attest/service-url.ts';
import type { CloudNode, CloudNodeDeps } from './cloud-node.ts';

const googleSecretManager = 'https://secretmanager.googleapis.com';
const maxAnswerBytes = 256 * 1024;
const timeoutMs = 10_000;

const tokenSchema = z.object({ access_token: z.string().min(1) });
const secretSchema = z.object({ payload: z.object({ data: z.string() }) });

export function createGcpNode({ fetch, env }: CloudNodeDeps): CloudNode {
  const metadata = createMetadataServer({ host: metadataHost(env), fetch });
  return {
    address: () => metadata.get('instance/network-interfaces/0/ip'),
    async secret(name) {
      const base = serviceUrl
        .parse(env['ESPALIER_GCP_SECRETMANAGER_ENDPOINT'] ?? googleSecretManager)
        .replace(/\/$/, '');
      const project = await metadata.get('project/project-id');
      const token = tokenSchema.parse(JSON.parse(await metadata.get('instance/service-accounts/default/token')));
      const path = ['projects', project, 'secrets', name, 'versions', 'latest'].map(encodeURIComponent).join('/');
      const response = await fetch(`${base}/v1/${path}:access`, {
        headers: { Authorization: `Bearer ${token.access_token}` },
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (!response.ok) throw new Error(`Secret Manager answered ${response.status} for secret ${name}`);
      const answer = secretSchema.parse(JSON.parse(await readBounded(response, maxAnswerBytes)));
      const value = decodeBase64(answer.payload.data);
      if (value === undefined) throw new Error(`Secret Manager's answer for secret ${name} is not base64`);
      return new TextDecoder('utf-8', { fatal: true }).decode(value);
    },
  };
}
