// What the pods of a namespace may be, as the operator's configuration says: by default `/ns/<namespace>/sa/<service account>` and nothing else.
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import type { Template } from '../template/template.ts';
import type { Request } from './annotations.ts';

export interface NamespaceRights {
  readonly namespace: string;
  /** The template of pods that ask for none. */
  readonly template: string;
  /** Those that a pod may ask for; the one above always. */
  readonly templates: readonly string[];
  /** Paths of IDs that its pods may have, and everything below each. */
  readonly idPrefixes: readonly string[];
  /** Names, and with `*.` before them everything below them. */
  readonly dnsNames: readonly string[];
  readonly federatesWith: readonly string[];
  /** What templates know as `.Values`. */
  readonly values: Readonly<Record<string, string>>;
  readonly x509SvidTtl: number;
  readonly jwtSvidTtl: number;
}

/** Throws with what was asked for and is not allowed. */
export function chooseTemplate(
  { namespace, template, templates }: NamespaceRights,
  asked: string | undefined,
  known: ReadonlyMap<string, Template>,
): Template {
  const name = asked ?? template;
  if (name !== template && !templates.includes(name))
    throw new Error(`template ${JSON.stringify(name)} is not for pods of namespace ${namespace}`);
  const found = known.get(name);
  if (found === undefined) throw new Error(`template ${JSON.stringify(name)} is not there`);
  return found;
}

/** The rendered path as an ID, which must be the namespace's to have. */
export function grantId({ namespace, idPrefixes }: NamespaceRights, trustDomain: string, path: string): string {
  const id = createSpiffeId(parseTrustDomain(trustDomain), path);
  const isGranted = idPrefixes.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
  if (!isGranted)
    throw new Error(
      `${id.toString()} is not an ID for pods of namespace ${namespace}: want one below ${idPrefixes.join(', ')}`,
    );
  return id.toString();
}

export function checkDnsNames({ namespace, dnsNames }: NamespaceRights, { dnsNames: asked }: Request): void {
  for (const name of asked) {
    if (!dnsNames.some((allowed) => covers(allowed, name)))
      throw new Error(`DNS name ${JSON.stringify(name)} is not for pods of namespace ${namespace}`);
  }
}

export function checkFederatesWith(
  { namespace, federatesWith }: NamespaceRights,
  { federatesWith: asked }: Request,
): void {
  for (const name of asked) {
    if (!federatesWith.includes(name))
      throw new Error(`trust domain ${JSON.stringify(name)} is not for pods of namespace ${namespace}`);
  }
}

/** A wildcard that is asked for would be a name that nobody has yet: it is covered only where it is listed letter by letter. */
function covers(allowed: string, name: string): boolean {
  if (allowed === name) return true;
  if (!allowed.startsWith('*.') || !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) return false;
  return name.endsWith(allowed.slice(1));
}
