// The administrator in Go: asks question after question, and tells answers with everything that differs each time replaced.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Answer, Question } from './admin-session.ts';
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
  const child = spawn(program, [`127.0.0.1:${port}`, `spiffe://${trustDomain}/spire/server`], {
    env: { ...process.env, ...env },
    stdio: 'pipe',
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const answers = new Map<string, Answer>();
  const before = (title: string): Answer => answers.get(title) ?? { code: 'MISSING', message: title };
  for (const { title, method, request } of questions) {
    child.stdin.write(`${JSON.stringify({ method: `/spire.api.server.${method}`, request: request(before) })}\n`);
    const { value, done } = (await lines.next()) as { value?: string; done?: boolean };
    if (done === true || value === undefined) throw new Error(`the administrator ended at "${title}": ${said}`);
    answers.set(title, JSON.parse(value) as Answer);
  }
  child.stdin.end();
  if (child.exitCode === null) await once(child, 'close');
  return questions.map(({ title }) => withoutChance(before(title)) as Answer);
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
