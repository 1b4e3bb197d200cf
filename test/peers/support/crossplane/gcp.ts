// Part of the STAND-IN for the providers: what of Google Cloud the lab has, made by plain REST in the lab.
import type { Api } from './api.ts';
import type { LabDatabase } from './database.ts';
import { kept } from './providers.ts';
import type { Maker, Managed, Seen } from './providers.ts';

export interface GcpLab {
  readonly endpoint: string;
  readonly project: string;
  readonly accessToken: string;
}

type Fields = Readonly<Record<string, unknown>>;

interface LabInstance {
  readonly id: string;
  readonly status: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly labelFingerprint: string;
  readonly tags?: { readonly items?: readonly string[]; readonly fingerprint: string };
  readonly networkInterfaces?: readonly { readonly networkIP?: string }[];
}

interface Policy {
  readonly etag?: string;
  readonly bindings?: readonly { readonly role: string; readonly members: readonly string[] }[];
}

export function gcpMakers(lab: GcpLab, database: LabDatabase, api: Api): Readonly<Record<string, Maker>> {
  /** Undefined where there is nothing. */
  async function rest<T>(method: string, path: string, body?: object): Promise<T | undefined> {
    const response = await fetch(`${lab.endpoint}${path}`, {
      method,
      headers: { authorization: `Bearer ${lab.accessToken}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(20_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.status === 404) return undefined;
    const answer = (await response.json()) as T & { error?: { message: string } };
    if (!response.ok) throw new Error(`googleapi: Error ${response.status}: ${answer.error?.message ?? ''}`);
    return answer;
  }

  const accounts = `/v1/projects/${lab.project}/serviceAccounts`;
  const emailOf = (name: string | undefined) => `${name ?? ''}@${lab.project}.iam.gserviceaccount.com`;
  const instances = (fields: Fields) => `/compute/v1/projects/${lab.project}/zones/${String(fields['zone'])}/instances`;

  async function ensureInstance(managed: Managed): Promise<Seen> {
    const { fields, object } = managed;
    const name = managed.externalName ?? '';
    const path = `${instances(fields)}/${name}`;
    const found = await rest<LabInstance>('GET', path);
    if (found === undefined) {
      await rest('POST', `${instances(fields)}?requestId=${object.metadata.uid}`, insertion(name, fields));
      return { externalName: name, isReady: false, atProvider: { currentStatus: 'PROVISIONING' } };
    }
    const labels = fields['labels'] as Readonly<Record<string, string>>;
    if (Object.entries(labels).some(([key, value]) => found.labels?.[key] !== value))
      await rest('POST', `${path}/setLabels`, { labels, labelFingerprint: found.labelFingerprint });
    const tags = fields['tags'] as readonly string[];
    if (tags.join() !== (found.tags?.items ?? []).join())
      await rest('POST', `${path}/setTags`, { items: tags, fingerprint: found.tags?.fingerprint ?? '' });
    const networkIp = found.networkInterfaces?.[0]?.networkIP;
    const atProvider = { instanceId: found.id, currentStatus: found.status, networkInterface: [{ networkIp }] };
    return { externalName: name, isReady: found.status === 'RUNNING', atProvider };
  }

  /** The lab evaluates no conditions: a right that is narrowed to one secret is put on that secret. */
  async function changeReaders(
    fields: Fields,
    change: (members: readonly string[]) => readonly string[],
  ): Promise<void> {
    const role = String(fields['role']);
    const { expression = '' } = (fields['condition'] ?? {}) as { expression?: string };
    const secret = /== "(.+)"$/.exec(expression)?.[1];
    if (secret === undefined) throw new Error(`the lab has no right on a whole project: ${role}`);
    const path = `/v1/projects/${lab.project}/secrets/${secret}`;
    const policy = await rest<Policy>('GET', `${path}:getIamPolicy`);
    if (policy === undefined) return;
    const others = (policy.bindings ?? []).filter((binding) => binding.role !== role);
    const members = change((policy.bindings ?? []).find((binding) => binding.role === role)?.members ?? []);
    const bindings = members.length === 0 ? others : [...others, { role, members }];
    await rest('POST', `${path}:setIamPolicy`, { policy: { ...policy, bindings } });
  }

  return {
    'compute.gcp/Instance': {
      ensure: ensureInstance,
      async remove({ fields, externalName = '' }) {
        const path = `${instances(fields)}/${externalName}`;
        const found = await rest<LabInstance>('GET', path);
        if (found !== undefined && found.status !== 'STOPPING') await rest('DELETE', path);
        return found === undefined;
      },
    },
    'cloudplatform.gcp/ServiceAccount': {
      async ensure({ externalName = '', fields }) {
        const email = emailOf(externalName);
        const path = `${accounts}/${email}`;
        const found = await rest<{ uniqueId: string }>('GET', path);
        const displayName = String(fields['displayName']).slice(0, 100);
        const made =
          found ??
          (await rest<{ uniqueId: string }>('POST', accounts, {
            accountId: externalName,
            serviceAccount: { displayName },
          }));
        const id = `projects/${lab.project}/serviceAccounts/${email}`;
        return { externalName, isReady: true, atProvider: { id, email, uniqueId: made?.uniqueId } };
      },
      async remove({ externalName }) {
        await rest('DELETE', `${accounts}/${emailOf(externalName)}`);
        return true;
      },
    },
    'cloudplatform.gcp/ProjectIAMMember': {
      async ensure(managed) {
        const member = String(managed.fields['member']);
        await changeReaders(managed.fields, (members) => [...new Set([...members, member])]);
        return kept.ensure(managed);
      },
      async remove({ fields }) {
        await changeReaders(fields, (members) => members.filter((one) => one !== String(fields['member'])));
        return true;
      },
    },
    'sql.gcp/DatabaseInstance': {
      async ensure(managed) {
        const seen = await kept.ensure(managed);
        const pscServiceAttachmentLink = `projects/${lab.project}/regions/lab/serviceAttachments/${seen.externalName}`;
        return { ...seen, atProvider: { ...seen.atProvider, pscServiceAttachmentLink } };
      },
      remove({ fields }) {
        if (fields['deletionProtection'] === true) throw new Error('deletion protection is on');
        return Promise.resolve(true);
      },
    },
    'sql.gcp/User': {
      async ensure(managed) {
        const { name, key } = managed.fields['passwordSecretRef'] as { readonly name: string; readonly key: string };
        const { password } = await database.master(managed.externalName ?? '');
        if ((await api.secret(name, key)) !== password)
          throw new Error(`the one PostgreSQL of the lab has another password than Secret ${name}`);
        return kept.ensure(managed);
      },
      remove: () => Promise.resolve(true),
    },
    'compute.gcp/Address': {
      async ensure(managed) {
        const seen = await kept.ensure(managed);
        return { ...seen, atProvider: { ...seen.atProvider, address: await database.endpoint() } };
      },
      remove: () => Promise.resolve(true),
    },
    'compute.gcp/ForwardingRule': {
      async ensure(managed) {
        const seen = await kept.ensure(managed);
        return { ...seen, atProvider: { ...seen.atProvider, target: managed.fields['target'] } };
      },
      remove: () => Promise.resolve(true),
    },
  };
}

function insertion(name: string, fields: Fields): object {
  const { email, scopes } = fields['serviceAccount'] as { readonly email: string; readonly scopes: readonly string[] };
  const { initializeParams } = fields['bootDisk'] as { readonly initializeParams: { readonly image: string } };
  const metadata = fields['metadata'] as Readonly<Record<string, string>>;
  return {
    name,
    machineType: `zones/${String(fields['zone'])}/machineTypes/${String(fields['machineType'])}`,
    labels: fields['labels'],
    tags: { items: fields['tags'] },
    disks: [{ boot: true, autoDelete: true, initializeParams: { sourceImage: initializeParams.image } }],
    networkInterfaces: [{ network: 'global/networks/default' }],
    serviceAccounts: [{ email, scopes }],
    metadata: { items: Object.entries(metadata).map(([key, value]) => ({ key, value })) },
  };
}
