// Configuration of the workload attestor "k8s": SPIRE's keys. What belongs to the Broker API and to sigstore is refused by name.
import * as z from 'zod';
import { parseDuration } from '../../../spiffe/duration.ts';
import { parsePluginConfig, PluginConfigError } from '../../plugin-config.ts';
import type { PluginData } from '../../plugin-config.ts';

export const k8sPlugin = 'WorkloadAttestor "k8s"';

/** Who we are to the kubelet. */
export type KubeletCredentials =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'token'; readonly path: string }
  | { readonly kind: 'certificate'; readonly certificatePath: string; readonly keyPath: string };

export type KubeletConfig =
  | { readonly port: number; readonly secure: false }
  | {
      readonly port: number;
      readonly secure: true;
      /** Undefined is this machine, whose kubelet is known by its CA alone. */
      readonly nodeName: string | undefined;
      /** Undefined: whoever answers is believed. */
      readonly caPath: string | undefined;
      readonly credentials: KubeletCredentials;
      readonly reloadIntervalMs: number;
    };

/** As Kubernetes tells every pod. */
export interface ApiServerConfig {
  readonly host: string;
  readonly port: string;
  readonly caPath: string;
  readonly tokenPath: string;
  readonly reloadIntervalMs: number;
}

export interface K8sConfig {
  readonly kubelet: KubeletConfig;
  /** There where labels of namespaces are asked for. */
  readonly apiServer: ApiServerConfig | undefined;
  readonly maxPollAttempts: number;
  readonly pollRetryIntervalMs: number;
  readonly disableContainerSelectors: boolean;
  readonly verboseContainerLocatorLogs: boolean;
}

const securePort = 10250;
const usualAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

const text = z.string().min(1);
const port = z.number().int().min(1).max(65_535).optional();
const duration = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((value, context): number => {
      try {
        const ms = parseDuration(value);
        if (ms > 0) return ms;
        context.addIssue('must be more than nothing');
      } catch (cause) {
        context.addIssue((cause as Error).message);
      }
      return z.NEVER;
    });
const absent = (why: string) => z.never(why).optional();
const off = (why: string) => z.literal(false, why).default(false);

const schema = z
  .strictObject({
    kubelet_read_only_port: port,
    kubelet_secure_port: port,
    kubelet_ca_path: text.optional(),
    skip_kubelet_verification: z.boolean().default(false),
    token_path: text.optional(),
    certificate_path: text.optional(),
    private_key_path: text.optional(),
    use_anonymous_authentication: z.boolean().default(false),
    node_name_env: text.default('MY_NODE_NAME'),
    node_name: text.optional(),
    max_poll_attempts: z.number().int().min(1).default(60),
    poll_retry_interval: duration('500ms'),
    reload_interval: duration('1m'),
    disable_container_selectors: z.boolean().default(false),
    verbose_container_locator_logs: z.boolean().default(false),
    use_new_container_locator: z.literal(true, 'the legacy container locator is not here').default(true),
    disable_kubelet_client: off('is for the Broker API alone, which is not here'),
    enable_namespace_labels: z.boolean().default(false),
    sigstore: absent('signatures of images are not verified here'),
    experimental: absent('neither the Broker API nor a cache of the API server is here'),
  })
  .refine((config) => config.kubelet_read_only_port === undefined || config.kubelet_secure_port === undefined, {
    message: 'only one of kubelet_read_only_port and kubelet_secure_port can be configured',
  })
  .refine((config) => (config.certificate_path === undefined) === (config.private_key_path === undefined), {
    message: 'certificate_path and private_key_path go together',
  })
  .refine(
    (config) =>
      [config.token_path, config.certificate_path, config.use_anonymous_authentication || undefined].filter(
        (way) => way !== undefined,
      ).length <= 1,
    { message: 'only one of token_path, certificate_path and use_anonymous_authentication can be configured' },
  );

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where Kubernetes puts what the pod's service account has. */
  readonly accountDirectory?: string;
}

export function parseK8sConfig(data: PluginData, around: Surroundings): K8sConfig {
  const config = parsePluginConfig(k8sPlugin, schema, data);
  return {
    kubelet: kubeletOf(config, around),
    apiServer: config.enable_namespace_labels ? apiServerOf(config, around) : undefined,
    maxPollAttempts: config.max_poll_attempts,
    pollRetryIntervalMs: config.poll_retry_interval,
    disableContainerSelectors: config.disable_container_selectors,
    verboseContainerLocatorLogs: config.verbose_container_locator_logs,
  };
}

type Parsed = z.output<typeof schema>;

function kubeletOf(config: Parsed, { env, accountDirectory = usualAccountDirectory }: Surroundings): KubeletConfig {
  const { kubelet_read_only_port: readOnlyPort, node_name: nodeName = env[config.node_name_env] } = config;
  if (readOnlyPort !== undefined) return { port: readOnlyPort, secure: false };
  return {
    port: config.kubelet_secure_port ?? securePort,
    secure: true,
    nodeName: nodeName === '' ? undefined : nodeName,
    caPath: config.skip_kubelet_verification ? undefined : (config.kubelet_ca_path ?? `${accountDirectory}/ca.crt`),
    credentials: credentialsOf(config, accountDirectory),
    reloadIntervalMs: config.reload_interval,
  };
}

function credentialsOf(config: Parsed, accountDirectory: string): KubeletCredentials {
  const { certificate_path: certificatePath, private_key_path: keyPath } = config;
  if (config.use_anonymous_authentication) return { kind: 'anonymous' };
  if (certificatePath !== undefined && keyPath !== undefined) return { kind: 'certificate', certificatePath, keyPath };
  return { kind: 'token', path: config.token_path ?? `${accountDirectory}/token` };
}

function apiServerOf(config: Parsed, { env, accountDirectory = usualAccountDirectory }: Surroundings): ApiServerConfig {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host === undefined || port === undefined) {
    throw new PluginConfigError(k8sPlugin, [
      'enable_namespace_labels: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: not in a pod',
    ]);
  }
  const [caPath, tokenPath] = [`${accountDirectory}/ca.crt`, `${accountDirectory}/token`];
  return { host, port, caPath, tokenPath, reloadIntervalMs: config.reload_interval };
}
