// An operator's session with a SPIRE server on the command line: what was typed, and what came back with everything that differs each time replaced.
import { run } from './processes.ts';
import type { SpireServer } from './server.ts';

export interface Exchange {
  readonly typed: string;
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const parent = ['-parentID', 'spiffe://example.org/node/one'];
const workload = ['-spiffeID', 'spiffe://example.org/prod/onprem/demo/web'];
const entry = ['-entryID', 'web', ...parent, ...workload, '-selector', 'unix:uid:1000'];

/** Asked for, each shows the usage of its commands. */
const groups = [
  'agent',
  'bundle',
  'debug',
  'entry',
  'federation',
  'jwt',
  'localauthority',
  'localauthority jwt',
  'localauthority x509',
  'logger',
  'token',
  'upstreamauthority',
  'x509',
];

/** One command a line; each is typed on a fresh server, in this order. */
export const session: readonly (readonly string[])[] = [
  ['healthcheck'],
  ['bundle', 'show'],
  ['bundle', 'show', '-format', 'spiffe'],
  ['bundle', 'count'],
  ['token', 'generate', '-spiffeID', 'spiffe://example.org/node/one'],
  ['token', 'generate'],
  ['token', 'generate', '-spiffeID', 'not-an-id'],
  [
    'entry',
    'create',
    ...entry,
    '-selector',
    'unix:gid:1000',
    '-x509SVIDTTL',
    '600',
    '-jwtSVIDTTL',
    '60',
    '-dns',
    'web.example.org',
    '-hint',
    'web',
  ],
  ['entry', 'create', ...entry, '-selector', 'unix:gid:1000'],
  ['entry', 'create', ...entry],
  ['entry', 'create', ...parent, ...workload],
  ['entry', 'create', ...workload, '-selector', 'unix:uid:1000'],
  ['entry', 'create', ...parent, '-selector', 'unix:uid:1000'],
  ['entry', 'create', ...parent, '-spiffeID', 'spiffe://elsewhere.org/web', '-selector', 'unix:uid:1000'],
  ['entry', 'create', ...parent, '-spiffeID', 'spiffe://example.org//web', '-selector', 'unix:uid:1000'],
  ['entry', 'create', ...parent, ...workload, '-selector', 'unix'],
  [
    'entry',
    'create',
    '-node',
    '-spiffeID',
    'spiffe://example.org/nodes',
    '-selector',
    'x509pop:subject:cn:node',
    '-entryID',
    'nodes',
  ],
  [
    'entry',
    'create',
    '-entryID',
    'below',
    ...parent,
    '-spiffeID',
    'spiffe://example.org/below',
    '-selector',
    'unix:uid:7',
    '-downstream',
  ],
  [
    'entry',
    'create',
    '-entryID',
    'boss',
    ...parent,
    '-spiffeID',
    'spiffe://example.org/boss',
    '-selector',
    'unix:uid:8',
    '-admin',
  ],
  ['entry', 'show', '-entryID', 'web'],
  ['entry', 'show', '-entryID', 'web', '-output', 'json'],
  ['entry', 'show', '-entryID', 'none'],
  ['entry', 'show', '-selector', 'unix:uid:7'],
  ['entry', 'show', '-spiffeID', 'spiffe://example.org/nodes'],
  ['entry', 'show', '-downstream'],
  ['entry', 'show', '-parentID', 'spiffe://example.org/nobody'],
  ['entry', 'count'],
  ['entry', 'count', '-downstream'],
  ['entry', 'update', ...entry, '-hint', 'other'],
  ['entry', 'update', '-entryID', 'none', ...parent, ...workload, '-selector', 'unix:uid:1000'],
  ['entry', 'delete', '-entryID', 'web'],
  ['entry', 'delete', '-entryID', 'web'],
  ['entry', 'delete'],
  ['agent', 'list'],
  ['agent', 'list', '-output', 'json'],
  ['agent', 'count'],
  ['agent', 'show', '-spiffeID', 'spiffe://example.org/spire/agent/join_token/none'],
  ['agent', 'ban', '-spiffeID', 'spiffe://example.org/spire/agent/join_token/none'],
  ['agent', 'evict', '-spiffeID', 'spiffe://example.org/spire/agent/join_token/none'],
  ['x509', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-ttl', '10m'],
  ['x509', 'mint'],
  ['jwt', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-audience', 'reports', '-ttl', '10m'],
  ['jwt', 'mint', '-spiffeID', 'spiffe://example.org/minted'],
  ['jwt', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-audience', 'a', '-write', '/nonexistent/token'],
  ['jwt', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-audience', 'a', '-ttl', 'soon'],
  ['agent', 'list', '-output', 'yaml'],
  ['agent', 'list', '-selector', 'x'],
  ['agent', 'count', '-selector', 'a:b', '-matchSelectorsOn', 'all'],
  ['agent', 'count', '-expiresBefore', 'tomorrow'],
  ['agent', 'count', '-expiresBefore', '2023-02-29 22:13:20 +0000 +00'],
  ['agent', 'count', '-expiresBefore', '2023-02-28 22:13:20 +0000 +0000'],
  ['agent', 'purge'],
  ['agent', 'purge', '-output', 'json'],
  ['entry', 'count', '-nonsense'],
  ['entry', 'create', ...entry, '-x509SVIDTTL', '2147483648'],
  ['entry', 'create', '-data', '/nonexistent.json'],
  ['entry', 'delete', '-file', '/nonexistent.json'],
  ['bundle', 'list'],
  ['bundle', 'list', '-output', 'json'],
  ['bundle', 'list', '-id', 'other.org'],
  ['bundle', 'list', '-id', 'Other'],
  ['bundle', 'delete'],
  ['bundle', 'delete', '-id', 'other.org'],
  ['bundle', 'delete', '-id', 'other.org', '-mode', 'all'],
  ['bundle', 'set'],
  ['bundle', 'set', '-id', 'other.org', '-format', 'der'],
  ['bundle', 'set', '-id', 'other.org', '-path', '/nonexistent.pem'],
  ['logger', 'get'],
  ['logger', 'set'],
  ['logger', 'set', '-level', 'loud'],
  ['logger', 'set', '-level', 'WARN'],
  ['logger', 'get', '-output', 'json'],
  ['logger', 'reset'],
  ['debug', 'getinfo'],
  ['localauthority', 'jwt', 'show'],
  ['localauthority', 'x509', 'show'],
  ['localauthority', 'x509', 'taint'],
  ['localauthority', 'jwt', 'activate', '-authorityID', 'none'],
  ['localauthority', 'x509', 'revoke', '-authorityID', 'none'],
  ['upstreamauthority', 'taint'],
  ['upstreamauthority', 'revoke', '-subjectKeyID', '00'],
  [],
  ['make', 'coffee'],
  ...groups.map((group) => group.split(' ')),
  ...['run', 'validate', 'healthcheck', 'jwt mint', 'entry update'].map((name) => [...name.split(' '), '-help']),
  ['run', '-nonsense'],
];

export async function record(command: string, { socketPath }: Pick<SpireServer, 'socketPath'>): Promise<Exchange[]> {
  const exchanges: Exchange[] = [];
  for (const words of session) {
    const { code, stdout, stderr } = await run(command, [...words, '-socketPath', socketPath]);
    exchanges.push({ typed: words.join(' '), code, out: withoutChance(stdout), err: withoutChance(stderr) });
  }
  return exchanges;
}

const chance: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN ([A-Z ]+)-----\n[^-]+-----END \1-----\n/g, '<$1>\n'],
  [/[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}/g, '<JWT>'],
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<UUID>'],
  [/("created_at": ?")\d+/g, '$1<TIME>'],
  [/("(?:kid|x|y|n|spiffe_sequence)": )"?[\w=+/-]+"?/g, '$1<VALUE>'],
  [/"[A-Za-z0-9+/]{100,}={0,2}"/g, '<DER>'],
  [/^((?:X509|JWT)-SVID lifetime was capped shorter than specified ttl; expires ).*/gm, '$1<TIME>'],
  [/^( *(?:Uptime|Expires At|Expires at|Authority ID|Subject): +).*/gm, '$1<VALUE>'],
  // The database's own words, and what ours adds to SPIRE's.
  [/(failed to (?:create|update) entry)[^\n]*\)/g, '$1 <REASON>)'],
  [/[ \t]+$/gm, ''],
];

function withoutChance(text: string): string {
  return chance.reduce((rest, [pattern, name]) => rest.replace(pattern, name), text);
}
