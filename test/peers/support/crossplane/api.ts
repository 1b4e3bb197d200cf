// The API server as the stand-ins ask it: objects of any kind in one namespace, over connections that are kept.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly generation?: number;
    readonly resourceVersion: string;
    readonly deletionTimestamp?: string;
    readonly finalizers?: readonly string[];
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly uid: string; readonly controller?: boolean }[];
  };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
}

export interface Api {
  list(kind: Kind): Promise<KubeObject[]>;
  apply(kind: Kind, name: string, body: object, manager: string): Promise<KubeObject>;
  merge(kind: Kind, name: string, body: object, part?: '/status'): Promise<KubeObject>;
  /** Content where it is gone. */
  remove(kind: Kind, name: string): Promise<void>;
  secret(name: string, key: string): Promise<string | undefined>;
  close(): void;
}

export class ApiRefusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiRefusal';
    this.status = status;
  }
}

export function openApi(kubeconfig: string, namespace: string): Api {
  const { url, ...tls } = readKubeconfig(kubeconfig);
  const agent = new Agent({ ...tls, keepAlive: true, maxSockets: 16 });
  const pathOf = ({ group, version, plural }: Kind): string =>
    `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;

  function ask<T>(method: string, path: string, body?: object, contentType = 'application/json'): Promise<T> {
    return new Promise((resolve, reject) => {
      const headers = { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': contentType }) };
      const signal = AbortSignal.timeout(20_000);
      const asked = request(url + path, { method, headers, agent, signal }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const status = response.statusCode ?? 0;
          if (status < 200 || status > 299) reject(new ApiRefusal(status, `${method} ${path}: ${status} ${text}`));
          else resolve(JSON.parse(text) as T);
        });
      });
      asked.on('error', reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  return {
    async list(kind) {
      const { items } = await ask<{ items: KubeObject[] }>('GET', pathOf(kind));
      return items.map((item) => ({ ...item, apiVersion: `${kind.group}/${kind.version}`, kind: kind.kind }));
    },
    apply: (kind, name, body, manager) =>
      ask(
        'PATCH',
        `${pathOf(kind)}/${name}?fieldManager=${encodeURIComponent(manager)}&force=true&fieldValidation=Strict`,
        body,
        'application/apply-patch+yaml',
      ),
    merge: (kind, name, body, part) =>
      ask('PATCH', `${pathOf(kind)}/${name}${part ?? ''}`, body, 'application/merge-patch+json'),
    async remove(kind, name) {
      await ask('DELETE', `${pathOf(kind)}/${name}`).catch((cause: unknown) => {
        if ((cause as ApiRefusal).status !== 404) throw cause;
      });
    },
    async secret(name, key) {
      const found = await ask<{ data?: Record<string, string> }>(
        'GET',
        `/api/v1/namespaces/${namespace}/secrets/${name}`,
      );
      const value = found.data?.[key];
      return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
    },
    close: () => agent.destroy(),
  };
}

interface Kubeconfig {
  readonly clusters: readonly [
    { readonly cluster: { readonly server: string; readonly 'certificate-authority': string } },
  ];
  readonly users: readonly [
    { readonly user: { readonly 'client-certificate-data': string; readonly 'client-key-data': string } },
  ];
}

/** As kubernetes.ts writes it. */
function readKubeconfig(path: string) {
  const { clusters, users } = JSON.parse(readFileSync(path, 'utf8')) as Kubeconfig;
  const [{ cluster }] = clusters;
  const [{ user }] = users;
  return {
    url: cluster.server,
    ca: readFileSync(cluster['certificate-authority']),
    cert: Buffer.from(user['client-certificate-data'], 'base64'),
    key: Buffer.from(user['client-key-data'], 'base64'),
  };
}
