// What pods and service accounts say for themselves where there are no custom resources. Whoever may make a pod may write these, so they choose among what
// the operator allows the namespace and never bring an ID of their own.
import type { Labels, Pod, ServiceAccount } from './kubernetes-objects.ts';

/** A label: `true` on a pod, or on its service account for all pods of it; the pod's own word goes first. */
export const registerLabel = 'espalier.io/register';

export const annotations = {
  /** One of the operator's templates, by name. */
  template: 'espalier.io/template',
  /** DNS names, with commas between. */
  dnsNames: 'espalier.io/dns-names',
  /** Trust domains, with commas between. */
  federatesWith: 'espalier.io/federates-with',
  hint: 'espalier.io/hint',
  /** The entry is for that container of the pod alone. */
  container: 'espalier.io/container',
} as const;

const prefix = 'espalier.io/';
const known: ReadonlySet<string> = new Set([registerLabel, ...Object.values(annotations)]);

export function wantsRegistration(pod: Pod, account: ServiceAccount | undefined): boolean {
  const said = labelOf(pod.metadata.labels) ?? labelOf(account?.metadata.labels);
  return said === 'true';
}

const labelOf = (labels: Labels | undefined): string | undefined =>
  labels !== undefined && Object.hasOwn(labels, registerLabel) ? labels[registerLabel] : undefined;

export interface Request {
  readonly template: string | undefined;
  readonly dnsNames: readonly string[];
  readonly federatesWith: readonly string[];
  readonly hint: string;
  readonly container: string | undefined;
}

/** The pod's annotation where it has one, its service account's otherwise. Throws with the annotation that nobody knows. */
export function readRequest(pod: Pod, account: ServiceAccount | undefined): Request {
  const said = new Map([
    ...Object.entries(account?.metadata.annotations ?? {}),
    ...Object.entries(pod.metadata.annotations ?? {}),
  ]);
  for (const name of said.keys()) {
    if (name.startsWith(prefix) && !known.has(name)) throw new Error(`${name}: there is no such annotation`);
  }
  return {
    template: said.get(annotations.template),
    dnsNames: listed(said.get(annotations.dnsNames)),
    federatesWith: listed(said.get(annotations.federatesWith)),
    hint: said.get(annotations.hint) ?? '',
    container: said.get(annotations.container),
  };
}

function listed(text: string | undefined): string[] {
  if (text === undefined) return [];
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
