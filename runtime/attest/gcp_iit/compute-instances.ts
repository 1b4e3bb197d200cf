// Asks the Compute Engine API what it has on an attested instance: its tags, labels and metadata, none of which the token holds.
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { deniedEvidence, undecided } from '../attest-error.ts';
import type { AttestLog } from '../attestor.ts';
import { readBounded } from '../bounded-body.ts';
import { unlessAborted } from '../unless-aborted.ts';
import type { InstanceIdentity } from './identity-token.ts';

/** Gives an OAuth access token that may read instances. */
export type AccessToken = () => Promise<string>;

const instanceSchema = z.object({
  id: z.string(),
  tags: z.object({ items: z.array(z.string()).default([]) }).optional(),
  labels: z.record(z.string(), z.string()).default({}),
  metadata: z
    .object({ items: z.array(z.object({ key: z.string(), value: z.string().default('') })).default([]) })
    .optional(),
});
export type ComputeInstance = z.output<typeof instanceSchema>;

export interface ComputeInstancesOptions {
  readonly url: string;
  readonly accessToken: AccessToken;
  readonly fetch: typeof globalThis.fetch;
  readonly log: AttestLog;
}

/** Metadata has 512 KiB at most, by Google's own limit. */
const maxAnswerBytes = 2 * 1024 * 1024;
const timeoutMs = 20_000;
const scope = 'https://www.googleapis.com/auth/compute.readonly';

export function createComputeInstances({ url, accessToken, fetch, log }: ComputeInstancesOptions) {
  async function ask(identity: InstanceIdentity, signal: AbortSignal): Promise<ComputeInstance> {
    const { project_id: project, zone, instance_name: name } = identity;
    const path = ['projects', project, 'zones', zone, 'instances', name].map(encodeURIComponent).join('/');
    const authorization = `Bearer ${await unlessAborted(accessToken(), signal)}`;
    const response = await fetch(`${url}/${path}`, { headers: { authorization }, redirect: 'error', signal });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`status ${response.status}`);
    }
    return instanceSchema.parse(JSON.parse(await readBounded(response, maxAnswerBytes)));
  }

  return {
    async find(identity: InstanceIdentity, signal: AbortSignal): Promise<ComputeInstance> {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const instance = await ask(identity, limit).catch((cause: unknown) => {
        // The caller, whom nobody knows yet, learns no more than that it failed.
        log.warn({ error: cause, instance: identity.instance_id }, 'failed to fetch instance metadata');
        throw undecided('CLOUD_UNAVAILABLE', 'failed to fetch instance metadata', cause);
      });
      // Instances are asked for by name, and names are used again.
      if (instance.id !== identity.instance_id) {
        throw deniedEvidence(
          'INSTANCE_MISMATCH',
          `Compute Engine has another instance of the name "${identity.instance_name}" than ${identity.instance_id}`,
        );
      }
      return instance;
    },
  };
}

export interface MetadataPolicy {
  readonly allowedLabelKeys: readonly string[];
  readonly allowedMetadataKeys: readonly string[];
  /** Bytes. */
  readonly maxMetadataValueSize: number;
}

/** All tags; of labels and metadata only what is allowed: anybody who may edit the instance writes them. */
export function metadataSelectorValues(instance: ComputeInstance, policy: MetadataPolicy): string[] {
  const { allowedLabelKeys, allowedMetadataKeys, maxMetadataValueSize: limit } = policy;
  const labels = Object.entries(instance.labels).filter(([key]) => allowedLabelKeys.includes(key));
  const metadata = (instance.metadata?.items ?? []).filter(({ key }) => allowedMetadataKeys.includes(key));
  for (const { key, value } of metadata) {
    const size = Buffer.byteLength(value);
    if (size > limit)
      throw undecided('METADATA_TOO_LARGE', `metadata "${key}" exceeded value limit (${size} > ${limit})`);
  }
  return [
    ...(instance.tags?.items ?? []).map((tag) => `tag:${tag}`),
    ...labels.map(([key, value]) => `label:${key}:${value}`),
    ...metadata.map(({ key, value }) => `metadata:${key}:${value}`),
  ];
}

const accountSchema = z.object({
  type: z.literal('service_account'),
  client_email: z.string().min(1),
  private_key: z.string().min(1),
});

/** By a service account's key file, or, without one, by what Google's library finds: on an instance, its own service account. */
export function createAccessToken(serviceAccountFile: string | undefined): AccessToken {
  const credentials = serviceAccountFile === undefined ? undefined : loadServiceAccount(serviceAccountFile);
  let auth: Promise<{ getAccessToken(): Promise<string | null | undefined> }> | undefined;
  return async () => {
    auth ??= import('google-auth-library').then(
      ({ GoogleAuth }) => new GoogleAuth({ scopes: [scope], ...(credentials === undefined ? {} : { credentials }) }),
    );
    const token = await (await auth).getAccessToken();
    if (typeof token !== 'string') throw new Error('no access token was given');
    return token;
  };
}

/** Throws; what stands in the file is not quoted. */
function loadServiceAccount(path: string): z.output<typeof accountSchema> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'not JSON';
    throw new Error(`${path} is not readable: ${reason}`);
  }
  const account = accountSchema.safeParse(content);
  if (!account.success) throw new Error(`${path} is not the key file of a service account`);
  return account.data;
}
