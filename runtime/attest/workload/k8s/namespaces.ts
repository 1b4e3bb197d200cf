// The labels of a namespace, asked of the API server by the pod's own service account. However many processes are described, each namespace is asked for
// once in an interval.
import * as z from 'zod';
import { WorkloadAttestError } from '../attestor.ts';
import { ask } from './ask.ts';
import type { ApiServerConfig } from './config.ts';
import { createReload, loadFile } from './reload.ts';

export interface Namespaces {
  labelsOf(namespace: string): Promise<Readonly<Record<string, string>>>;
}

export interface NamespacesOptions {
  readonly config: ApiServerConfig;
  readonly intervalMs: number;
  readonly clock: () => number;
}

const maxAnswerBytes = 4 * 1024 * 1024;
const schema = z
  .object({ metadata: z.object({ labels: z.record(z.string(), z.string()).nullish() }) })
  .transform(({ metadata }) => metadata.labels ?? {});

export async function openNamespaces({ config, intervalMs, clock }: NamespacesOptions): Promise<Namespaces> {
  const { host, port, caPath, tokenPath, reloadIntervalMs } = config;
  const load = async () => ({
    ca: await loadFile('CA of the API server', caPath),
    headers: { authorization: `Bearer ${(await loadFile('token', tokenPath)).trim()}` },
  });
  const credentials = await createReload(load, reloadIntervalMs, clock);
  /** One for each namespace that has a pod here; what is too old is dropped when the next is asked for. */
  const kept = new Map<string, { readonly at: number; readonly labels: Promise<Readonly<Record<string, string>>> }>();

  const fetchLabels = async (namespace: string): Promise<Readonly<Record<string, string>>> => {
    try {
      const options = { host, port, path: `/api/v1/namespaces/${encodeURIComponent(namespace)}` };
      return await ask({ options: { ...options, ...(await credentials()) }, isSecure: true, maxAnswerBytes }, schema);
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new WorkloadAttestError('API_SERVER', `unable to get labels of namespace "${namespace}": ${reason}`, {
        cause,
      });
    }
  };

  return {
    labelsOf(namespace) {
      const now = clock();
      for (const [name, { at }] of kept) if (now - at >= intervalMs) kept.delete(name);
      const labels = kept.get(namespace)?.labels ?? fetchLabels(namespace);
      if (!kept.has(namespace)) kept.set(namespace, { at: now, labels });
      return labels;
    },
  };
}
