// A worker's settings, from its environment: parsed once, whole, or the process does not start. Nothing else reads the environment.
import { z } from 'zod';

const schema = z
  .object({
    /** The lab's ready file; absent where there is no lab. */
    ESPALIER_LAB_FILE: z.string().optional(),
    ESPALIER_ARTIFACT_URL: z.url(),
    ESPALIER_ARTIFACT_SHA256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hexadecimal'),
    /** Of that archive's agent; this worker's own where nothing is said. */
    ESPALIER_ARTIFACT_VERSION: z.string().optional(),
    /** An address with the right to create roles and databases. */
    ESPALIER_DATABASE_ADMIN_URL: z.string().optional(),
    /** The files of an authority above the root, on their way into a cloud's secret store. */
    ESPALIER_UPSTREAM_AUTHORITY_DIRECTORY: z.string().optional(),
    ESPALIER_WORKER_DIRECTORY: z.string(),
    ESPALIER_WORKLOAD_SOCKET: z.string(),
    /** Where reports of rotations are kept; `reports` beside the worker's own files where nothing is said. */
    ESPALIER_REPORT_DIRECTORY: z.string().optional(),
    ESPALIER_AWS_ACCOUNT: z.string().optional(),
    ESPALIER_AWS_IMAGE: z.string().optional(),
    ESPALIER_GCP_PROJECT: z.string().optional(),
    ESPALIER_GCP_IMAGE: z.string().optional(),
    /** Where our kinds are in Kubernetes; absent where Crossplane makes nothing for this worker. */
    ESPALIER_CROSSPLANE_NAMESPACE: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a name of Kubernetes')
      .optional(),
    /** A kubeconfig, with a context for each cluster that a specification names; where nothing is said, the service account of the pod that this runs in. */
    ESPALIER_KUBECONFIG: z.string().optional(),
    ESPALIER_CROSSPLANE_PROVIDER_CONFIG: z.string().min(1).optional(),
    /** `<name>/<key>` of a Secret in that namespace: what Cloud SQL takes its password from. */
    ESPALIER_CROSSPLANE_PASSWORD_SECRET: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]*\/[A-Za-z0-9._-]+$/, 'must be a name and a key, such as datastore/password')
      .optional(),
    ESPALIER_CROSSPLANE_SSLMODE: z.enum(['disable', 'require', 'verify-full']).optional(),
  })
  .readonly();

export type WorkerSettings = z.output<typeof schema>;

/** Throws with every fault, each with its variable. */
export function parseSettings(environment: Readonly<Record<string, string | undefined>>): WorkerSettings {
  const parsed = schema.safeParse(environment);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`the worker's environment has ${faults.length} faults: ${faults.join('; ')}`);
}
