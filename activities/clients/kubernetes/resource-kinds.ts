// A kind of object as the API server's paths name it, and what every object has. Plain types: what an object holds beside that is its reader's to know.

export interface ResourceKind {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** All namespaces, or none, where nothing is said. */
  readonly namespace?: string | undefined;
}

export interface ObjectMetadata {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly generation?: number | undefined;
  readonly creationTimestamp?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  readonly finalizers?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface AnyObject {
  readonly apiVersion?: string | undefined;
  readonly kind?: string | undefined;
  readonly metadata: ObjectMetadata;
}

/** `/apis/apps/v1/namespaces/trust/deployments`, or below it an object and its subresource. */
export function pathOf({ group, version, plural, namespace }: ResourceKind, ...below: readonly string[]): string {
  const parts = [
    ...(group === '' ? ['api', version] : ['apis', group, version]),
    ...(namespace === undefined ? [] : ['namespaces', namespace]),
    plural,
    ...below,
  ];
  return `/${parts.map(encodeURIComponent).join('/')}`;
}
