// The path validator against go-spiffe and openssl on the same chains: where the three disagree, ours is the one that refuses, by a rule that is listed
// here, or follows RFC 5280 where one of the others does not, which is listed too.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PkiError } from '../../runtime/pki/errors.ts';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { verifyX509Svid } from '../../runtime/pki/x509-svid.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { chainCorpus, corpusTime } from './support/chain-corpus.ts';
import type { ChainCase } from './support/chain-corpus.ts';
import { run } from './support/processes.ts';
import { prepareGoVerifier } from './support/programs.ts';

const seed = Number(process.env['CHAIN_SEED'] ?? 20_261_125);
const corpus = chainCorpus(seed, 120);
const trustDomain = parseTrustDomain('td.test');
const directory = mkdtempSync(join(tmpdir(), 'chains-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** Ours refuses, by these codes, what go-spiffe lets through: X509-SVID and RFC 5280 ask for it, Go's verifier does not look. */
const stricterThanGo = [
  'CA_SUBJECT', // RFC 5280 §4.1.2.6
  'CHAIN_TOO_LONG', // more than eight intermediates
  'CERT_SIGN', // X509-SVID §4.3: key usage on every signing certificate
  'LEAF_ID', // an ID of more than 2048 bytes
  'LEAF_KEY_USAGE', // X509-SVID §4.3: digital signature, and the extension is critical
  'LEAF_PATH', // X509-SVID §5.2, in later versions of go-spiffe too
  'PUBLIC_KEY', // RSA below 2048 bits
  'SERIAL_NUMBER', // RFC 5280 §4.1.2.2
];
/** What openssl cannot know (SPIFFE's rules for leaves, who belongs to which trust domain), and what it leaves to -x509_strict. */
const stricterThanOpenssl = [
  'CA_SUBJECT',
  'CERTIFICATE', // two extensions of one kind
  'CERT_SIGN',
  'CHAIN_TOO_LONG',
  'LEAF_CERT_SIGN',
  'LEAF_CRL_SIGN',
  'LEAF_ID',
  'LEAF_IS_CA',
  'LEAF_KEY_USAGE',
  'LEAF_PATH',
  'LEAF_URI_COUNT',
  'NOT_A_CA', // of a root: openssl takes any certificate that is trusted where a chain may end early
  'SERIAL_NUMBER',
  'TRUST_DOMAIN',
];

/** Chains that RFC 5280 accepts and Go does not: §6.1.4 (l) counts no certificate that a CA gave to itself. */
const beyondGo = ['an intermediate that signed itself anew, which no path length counts'];
/** And openssl does not: it follows one path, and finds no way back from a circle. */
const beyondOpenssl = ['intermediates that lead to each other and to the root'];

const ours = corpus.map(({ chain, roots }) => {
  try {
    return `accepts ${String(verifyX509Svid({ chain, roots, now: corpusTime, trustDomain }).id)}`;
  } catch (error) {
    if (error instanceof PkiError) return error.code;
    throw error;
  }
});
const accepts = (verdict: string): boolean => verdict.startsWith('accepts');

async function askGo(cases: readonly ChainCase[]): Promise<string[]> {
  const base64 = (ders: readonly Uint8Array[]) => ders.map((der) => Buffer.from(der).toString('base64'));
  const questions = cases.map(({ chain, roots }) =>
    JSON.stringify({ trustDomain: 'td.test', chain: base64(chain), roots: base64(roots), at: corpusTime / 1000 }),
  );
  const answers = execFileSync(await prepareGoVerifier(), { input: `${questions.join('\n')}\n`, encoding: 'utf8' });
  return answers
    .trim()
    .split('\n')
    .map((line) => {
      const { id, reason } = JSON.parse(line) as { id?: string; reason?: string };
      return id === undefined ? `refuses: ${reason ?? ''}` : `accepts ${id}`;
    });
}

async function askOpenssl({ chain, roots }: ChainCase, index: number): Promise<string> {
  const write = (name: string, ders: readonly Uint8Array[]): string => {
    const path = join(directory, `${index}-${name}.pem`);
    writeFileSync(path, certificatesToPem(ders));
    return path;
  };
  const [leaf, ...intermediates] = chain;
  const { code, stdout, stderr } = await run('openssl', [
    'verify',
    ...['-attime', String(corpusTime / 1000), '-no-CApath', '-no-CAstore', '-purpose', 'any', '-auth_level', '2'],
    ...['-CAfile', write('roots', roots)],
    ...(intermediates.length === 0 ? [] : ['-untrusted', write('untrusted', intermediates)]),
    ...['-partial_chain', write('leaf', leaf === undefined ? [] : [leaf])],
  ]);
  return code === 0 && stdout.includes(': OK') ? 'accepts' : `refuses: ${stderr.trim().split('\n')[0] ?? ''}`;
}

test('the corpus has chains that are accepted and chains that are refused', () => {
  expect(ours.filter(accepts).length).toBeGreaterThan(10);
  expect(ours.filter((verdict) => !accepts(verdict)).length).toBeGreaterThan(60);
});

describe.each([
  { peer: 'go-spiffe', ask: askGo, stricter: stricterThanGo, beyond: beyondGo },
  {
    peer: 'openssl',
    stricter: stricterThanOpenssl,
    beyond: beyondOpenssl,
    ask: async (cases: readonly ChainCase[]): Promise<string[]> => {
      const verdicts: string[] = [];
      for (const [index, one] of cases.entries()) verdicts.push(await askOpenssl(one, index));
      return verdicts;
    },
  },
])('$peer', ({ ask, stricter, beyond }) => {
  let theirs: string[];
  beforeAll(async () => {
    theirs = await ask(corpus);
  });

  test(`refuses everything that ours refuses, but for the listed rules, and for each of them something (seed ${seed})`, () => {
    const differences = corpus.flatMap((_, index) => {
      const [own = '', other = ''] = [ours[index], theirs[index]];
      return !accepts(own) && accepts(other) ? [own] : [];
    });
    expect([...new Set(differences)].sort()).toEqual([...stricter].sort());
  });

  test(`accepts everything that ours accepts, but for the listed chains, and each of them not (seed ${seed})`, () => {
    const differences = corpus.flatMap(({ name }, index) => {
      const [own = '', other = ''] = [ours[index], theirs[index]];
      return accepts(own) && !accepts(other) ? [name.slice(name.indexOf(', under ') + ', under '.length)] : [];
    });
    expect([...new Set(differences)].sort()).toEqual(beyond);
  });
});
