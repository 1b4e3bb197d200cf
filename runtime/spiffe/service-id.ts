// The service scheme of SPIFFE IDs: a service is `/service/<name>`, and what it runs for others is `/service/<name>/customer/<id>` or
// `/service/<name>/tenant/<id>`.
import { SpiffeError } from './errors.ts';
import { checkPathSegment } from './id-text.ts';
import { createSpiffeId } from './spiffe-id.ts';
import type { SpiffeId } from './spiffe-id.ts';

export const subjectKinds = ['customer', 'tenant'] as const;
export type SubjectKind = (typeof subjectKinds)[number];

/** For whom a service asks. */
export interface Subject {
  readonly kind: SubjectKind;
  readonly id: string;
}

/** Each character of a segment is one byte. */
const longestSubjectId = 128;
const servicePrefix = '/service/';

/** Undefined of every ID but that of a service itself. */
export function serviceName({ path }: Pick<SpiffeId, 'path'>): string | undefined {
  if (!path.startsWith(servicePrefix)) return undefined;
  const name = path.slice(servicePrefix.length);
  return name.includes('/') ? undefined : name;
}

export function parseSubjectKind(text: string): SubjectKind {
  const kind = subjectKinds.find((one) => one === text);
  if (kind === undefined)
    throw new SpiffeError('SUBJECT_KIND', `kind ${JSON.stringify(text)} is neither customer nor tenant`);
  return kind;
}

/** Refused, never repaired: the id becomes one segment of a path, byte for byte. */
export function parseSubject(kind: string, id: string): Subject {
  const parsed = parseSubjectKind(kind);
  if (id.length > longestSubjectId)
    throw new SpiffeError('SUBJECT_LENGTH', `id has ${id.length} characters, at most ${longestSubjectId} are taken`);
  checkPathSegment(id);
  return { kind: parsed, id };
}

export function subjectId(service: SpiffeId, { kind, id }: Subject): SpiffeId {
  return createSpiffeId(service.trustDomain, `${service.path}/${kind}/${id}`);
}
