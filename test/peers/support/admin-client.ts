// The administrator in Go: asks question after question, and tells answers with everything that differs each time replaced.
import type { Answer, Question } from './admin-session.ts';
import { converse } from './conversation.ts';
import type { SpireServer } from './server.ts';
import { trustDomain } from './server.ts';
import type { WorkloadEnvironment } from './workloads.ts';

/** In the order of the questions. */
export async function conduct(
  program: string,
  { env }: WorkloadEnvironment,
  { port }: SpireServer,
  questions: readonly Question[],
): Promise<Answer[]> {
  const args = [`127.0.0.1:${port}`, `spiffe://${trustDomain}/spire/server`];
  const answers = await converse({ program, args, env, prefix: '/spire.api.server.' }, questions);
  return questions.map(({ title }) => withoutChance(answers.get(title)) as Answer);
}

/** By the name of the field: what no two servers have alike. */
const chance = new Set([
  'asn1',
  'authorityId',
  'certChain',
  'createdAt',
  'expiresAt',
  'issuedAt',
  'keyId',
  'publicKey',
  'sequenceNumber',
  'token',
  'x509svidExpiresAt',
  'x509svidSerialNumber',
  'agentVersion',
]);
/** Nobody promises their order. */
const unordered = new Set(['entries', 'selectors', 'bundles', 'federationRelationships', 'x509Authorities', 'agents']);
const texts: readonly (readonly [RegExp, string])[] = [
  // The words of the other's database and store, which ours say better.
  [/datastore-sql: pq: duplicate key value violates unique constraint .*/, 'a record with this key exists'],
  [/unable to fetch federation relationship: record not found/, 'no federation relationship with "nobody.test"'],
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<UUID>'],
  [/\b[0-9a-f]{40}\b/g, '<KEY ID>'],
];

function withoutChance(value: unknown, field = ''): unknown {
  if (chance.has(field)) return `<${field}>`;
  if (typeof value === 'string') return texts.reduce((rest, [pattern, name]) => rest.replace(pattern, name), value);
  if (Array.isArray(value)) {
    const list = value.map((item) => withoutChance(item));
    return unordered.has(field) ? list.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : list;
  }
  if (typeof value !== 'object' || value === null) return value;
  // SPIRE counts fewer changes of an entry than we do: a bundle that it no longer federates with is one for us.
  const counted = Object.entries(value).filter(([name]) => name !== 'revisionNumber');
  const fields = counted.map(([name, inner]): [string, unknown] => [name, withoutChance(inner, name)]);
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)));
}
