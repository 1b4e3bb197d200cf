// What registration reads of Kubernetes' objects: types only. Objects are never changed, and one that changed is another object.
export type Labels = Readonly<Record<string, string>>;

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly generation?: number;
  readonly resourceVersion?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
}

export interface KubernetesObject {
  readonly metadata: ObjectMeta;
}

export interface Pod extends KubernetesObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly [field: string]: unknown;
  };
}

export interface Node extends KubernetesObject {
  readonly spec?: Readonly<Record<string, unknown>>;
}

export type Namespace = KubernetesObject;
export type ServiceAccount = KubernetesObject;

/** `kubernetes.io/service-name` says which service; each endpoint, which pod. */
export interface EndpointSlice extends KubernetesObject {
  readonly endpoints?:
    readonly { readonly targetRef?: { readonly kind?: string; readonly uid?: string } | undefined }[] | null;
}

/** Specs come from outside: they are parsed before anything is read of them. */
export interface CustomResource extends KubernetesObject {
  readonly spec?: unknown;
  readonly status?: unknown;
}
