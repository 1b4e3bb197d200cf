// Which code keeps each rule of a compatible server, and which test holds it. `test/rules.test.ts` checks that all of it exists; a rule that has no
// row here has no test by name. The agent's own are test/agent-rules.ts.
import { agentRules } from './agent-rules.ts';

/** What the rule asks, the file that keeps it, the test file, and words of a title or of a row of its table. */
export type RuleRow = readonly [rule: string, code: string, test: string, words: string];

const spiffe = (rule: string, file: string, words: string): RuleRow => [
  rule,
  `runtime/spiffe/${file}.ts`,
  `test/runtime/spiffe/${file}.test.ts`,
  words,
];
const pki = (rule: string, file: string, words: string, tests = file): RuleRow => [
  rule,
  `runtime/pki/${file}.ts`,
  `test/runtime/pki/${tests}.test.ts`,
  words,
];
const api = (rule: string, file: string, tests: string, words: string): RuleRow => [
  rule,
  `runtime/server/api/${file}.ts`,
  `test/runtime/server/api/${tests}.test.ts`,
  words,
];
const attack = (rule: string, code: string, words: string): RuleRow => [
  rule,
  code,
  'test/runtime/server/attacks.test.ts',
  words,
];
const fuzz = (rule: string, code: string, words: string): RuleRow => [
  rule,
  code,
  'test/runtime/fuzz/parsers.test.ts',
  words,
];
const matrix = (rule: string, code: string, words: string): RuleRow => [
  rule,
  code,
  'test/runtime/server/api/matrix/callers.ts',
  words,
];
const attestor = (rule: string, code: string, tests: string, words: string): RuleRow => [
  rule,
  `runtime/attest/${code}.ts`,
  `test/runtime/attest/${tests}.test.ts`,
  words,
];

/** §2: what attackers sent to SPIRE, to its neighbours and to its libraries. */
const attacks: readonly RuleRow[] = [
  api(
    'CVE-2021-27098: of an agent’s CSR only the key is taken',
    'attest-agent',
    'attest',
    'takes nothing but the key from the CSR',
  ),
  api(
    'CVE-2021-27098: ID, names and TTL come from the entry',
    'svid-service',
    'svid-service',
    'whatever the CSR asks for',
  ),
  spiffe('CVE-2021-27099: nothing is normalised', 'spiffe-id', 'gives back every ID that it accepts byte for byte'),
  api('SPI-01-007: a join token is one path segment', 'agent-service', 'attest', 'with a path in it'),
  [
    'SPI-01-002: keys are 0600, whatever the umask',
    'runtime/server/keys/disk.ts',
    'test/runtime/server/keys/disk.test.ts',
    'under umask %o',
  ],
  attack(
    'SPI-01-006: no file stays open after connect and exit',
    'runtime/rpc/unix-listener.ts',
    'when it connects and goes, five hundred times',
  ),
  [
    '0.8.0: a pid that is used again is another process',
    'runtime/rpc/process-start.ts',
    'test/runtime/rpc/peer-process.test.ts',
    'a process that ends before its connection is accepted has no start time',
  ],
  attack('0.12.0: no token in a log', 'runtime/server/api/svid-service.ts', 'no token that was minted'),
  api('1.9.3: a page is as large as the server allows', 'page', 'entry-service', 'however large a page was asked for'),
  pki('1.12.3: a token without an expiry', 'jwt-svid', 'token missing exp claim'),
  attestor(
    '1.14.2: x509pop counts and measures before it verifies',
    'x509pop/evidence',
    'x509pop/x509pop',
    'a key larger than configured',
  ),
  attack('1.14.3: a session is never resumed', 'runtime/rpc/tls-credentials.ts', 'is not resumed'),
  attack('1.14.3: selectors are not logged', 'runtime/server/api/entry-service.ts', 'no selector'),
  attestor(
    '1.14.6: aws_iid reads what was signed',
    'aws_iid/verify-document',
    'aws_iid/documents',
    'that differs from the signed content',
  ),
  api('1.14.6: a join token is taken once', 'attest-agent', 'attest', 'is good for one attestation of 32 at once'),
  api(
    '… and answers again to its own key alone',
    'attest-agent',
    'attest',
    'to the key that it was spent for, and to no other',
  ),
  attestor(
    '1.15.1: the signer’s own certificate is the one that counts',
    'aws_iid/signed-data',
    'aws_iid/documents',
    'that two signed',
  ),
  attack('1.4.3: TLS 1.2 at least', 'runtime/rpc/tls-credentials.ts', "'TLSv1', 'TLSv1.1'"),
  attack(
    'CVE-2026-33186: a method is its exact path',
    'runtime/rpc/server.ts',
    'a method is found by its exact path and no other',
  ),
  pki('go-spiffe #375: a leaf has a path', 'x509-svid', "spiffe://td.test'"),
  attack('forwarded identities: metadata names nobody', 'runtime/server/api/caller.ts', 'makes nobody an admin'),
  pki('CVE-2021-44531: names are read from DER', 'general-names', 'with its ID as DNS name', 'x509-svid'),
  pki('CVE-2023-30588: a key that is none', 'public-key', 'a point off the curve', 'keys'),
  fuzz('CVE-2023-30588: keys and CSRs are refused, whatever the bytes', 'runtime/pki/csr.ts', "'a CSR'"),
  attack(
    'CVE-2025-59465: headers that are not HPACK',
    'runtime/rpc/server-sessions.ts',
    'with headers that are not HPACK',
  ),
  fuzz(
    'CVE-2025-59466: nesting has an end in JSON',
    'runtime/spiffe/json-depth.ts',
    'without end in a bundle document',
  ),
  fuzz('CVE-2025-59466: nesting has an end in PKCS#7', 'runtime/attest/aws_iid/asn1-walk.ts', 'without end in PKCS#7'),
  attack('CVE-2026-44289: nesting has an end in protobuf', 'proto/gen/spire/api/types/entry.ts', 'groups without end'),
  attack('CVE-2026-21637: a server name throws nothing', 'runtime/rpc/tls-listener.ts', 'changes nothing'),
  attack(
    'CVE-2024-27983: a header block that breaks off',
    'runtime/rpc/server-sessions.ts',
    'that breaks off within a header block',
  ),
  attack(
    'CVE-2023-44487: rapid reset',
    'runtime/rpc/server-sessions.ts',
    'with calls that are reset as soon as they are made',
  ),
  attack(
    'CVE-2023-45288: CONTINUATION without end',
    'runtime/rpc/server-sessions.ts',
    'with CONTINUATION frames without end',
  ),
  attack(
    'CVE-2024-37168: a message is refused before it arrives',
    'runtime/rpc/message-reader.ts',
    'refused before it arrives',
  ),
  attack(
    'CVE-2024-37168: and one that would inflate',
    'runtime/rpc/message-reader.ts',
    'that would inflate to more than 4 MiB is refused as it is',
  ),
  attack(
    'CVE-2026-48069: a message that is not compressed',
    'runtime/rpc/message-reader.ts',
    'that says %s and is not is refused',
  ),
  attack('CVE-2019-9518: empty frames', 'runtime/rpc/server-sessions.ts', 'with empty DATA frames without end'),
  attack(
    'CVE-2019-9512, CVE-2019-9515: questions whose answers are not read',
    'runtime/rpc/server-sessions.ts',
    'frames whose answers are not read',
  ),
  attack('a window that grows for ever', 'runtime/rpc/server-sessions.ts', 'WINDOW_UPDATE frames without end'),
  attack('CVE-2025-8671: calls that the server must reset', 'runtime/rpc/server-sessions.ts', 'makes the server reset'),
  attack('CVE-2026-84304: frames of one byte', 'runtime/rpc/message-reader.ts', 'in frames of one byte each'),
  pki('CVE-2022-23540: nine algorithms and no others', 'jws', 'with algorithm none', 'jwt-svid'),
  pki(
    'CVE-2026-34950: a key is used with its own algorithm',
    'jws',
    'with the algorithm of another kind of key',
    'jwt-svid',
  ),
  pki(
    'CVE-2025-61727: a wildcard is excluded with what it stands for',
    'name-constraints',
    'a wildcard for an excluded name',
  ),
  pki('x509-limbo: name constraints have a budget', 'name-constraints', 'by their number, before they are compared'),
];

/** §3.1 to §3.3: IDs, selectors, entries, requests, keys. */
const inputs: readonly RuleRow[] = [
  spiffe('the scheme is spiffe, in lower case', 'spiffe-id', 'Spiffe://td.test/a'),
  spiffe('no port, no user', 'spiffe-id', 'spiffe://user@td.test/a'),
  spiffe('a trust domain has 255 bytes at most', 'trust-domain', 'repeat(256)'),
  spiffe('letters of a trust domain are lower case', 'trust-domain', 'Example.org'),
  spiffe('no trailing slash', 'spiffe-id', 'path cannot have a trailing slash'),
  spiffe('no empty segment', 'spiffe-id', 'path cannot contain empty segments'),
  spiffe('no dot segment', 'spiffe-id', 'path cannot contain dot segments'),
  spiffe('an ID has 2048 bytes at most', 'spiffe-id', '2048'),
  spiffe('a selector has type and value, and the type no colon', 'selector', "selector type contains ':'"),
  api('an entry has selectors', 'wire/entry', 'entry-service', 'selector list is empty'),
  api('an entry is for a workload of the trust domain', 'wire/spiffe-id', 'entry-service', 'reserved namespace'),
  api('federates_with names trust domains', 'wire/entry', 'entry-service', 'invalid federated trust domain'),
  api('DNS names are strict', 'dns-name', 'dns-name', 'wildcard must be first label'),
  api('wildcards do not overlap where an administrator mints', 'dns-name', 'dns-name', '%j overlap'),
  api('a hint has 1024 bytes at most', 'wire/entry', 'entry-service', 'hint is too long'),
  api('an entry for a store of SVIDs has selectors of one type', 'wire/entry', 'entry-service', 'storeSvid: true'),
  api('an entry’s ID has 255 bytes at most', 'wire/entry', 'entry-service', "'x'.repeat(256)"),
  api('an entry’s ID has letters, digits, dots, dashes, underscores', 'wire/entry', 'entry-service', "id: 'a b'"),
  api('attributes are two flags, however many bytes are sent', 'wire/entry', 'entry-service', 'above 65,535 bytes'),
  api('a list without a page size comes whole', 'page', 'entry-service', 'comes whole where no page size is said'),
  [
    'pages hold what was there throughout once',
    'runtime/server/store/conditions.ts',
    'test/runtime/server/store/paging.test.ts',
    'hold what was there throughout once',
  ],
  api('an entry like another is that one', 'entry-service', 'entry-service', 'that is there already is returned'),
  api('filters are not empty', 'wire/selectors', 'entry-service', 'empty selector set'),
  api(
    'a sync begins without IDs',
    'authorized-entries-service',
    'authorized-entries',
    'specifying IDs on initial request',
  ),
  api(
    'a sync cannot mask revisions',
    'authorized-entries-service',
    'authorized-entries',
    'revision number cannot be masked',
  ),
  api('an agent’s version has 255 bytes at most', 'renew-agent', 'attest', 'is refused a version that is too long'),
  pki('a CSR proves possession of its key', 'csr', 'is refused when another key signed it'),
  pki('RSA keys have 2048 to 8192 bits', 'public-key', 'RSA of 8193 bits', 'keys'),
  pki('RSA exponents are odd and 65537 at least', 'public-key', 'RSA with exponent 3', 'keys'),
  pki('points lie on their curves', 'public-key', 'a point off the curve', 'keys'),
];

/** §3.4: who may call what. Every cell is in the matrix; here are the kinds of caller and why some are refused. */
const callers: readonly RuleRow[] = [
  matrix('a caller without a certificate is nobody', 'runtime/server/api/caller.ts', 'without a certificate'),
  matrix('two URI names', 'runtime/pki/x509-svid.ts', 'a certificate with two URI names'),
  matrix(
    'a foreign admin is verified by its own bundle',
    'runtime/server/client-verifier.ts',
    'an admin by configuration of a federated trust domain',
  ),
  matrix('a foreign member is refused', 'runtime/server/client-verifier.ts', 'a member of a federated trust domain'),
  matrix(
    'a renewed SVID replaces the one before',
    'runtime/server/api/agent-authorizer.ts',
    'an agent with the SVID that it had before',
  ),
  matrix('banned', 'runtime/server/api/agent-authorizer.ts', 'a banned agent'),
  matrix('evicted', 'runtime/server/api/agent-authorizer.ts', 'an evicted agent'),
  matrix('expired', 'runtime/server/api/agent-authorizer.ts', 'an agent whose SVID has expired'),
  matrix(
    'an agent that can re-attest does not renew',
    'runtime/server/api/renew-agent.ts',
    'an agent that must re-attest',
  ),
  matrix(
    'a revoked authority vouches for nobody',
    'runtime/rpc/verify-peer.ts',
    'a certificate of a revoked authority',
  ),
  api(
    'WIT-SVIDs: the statuses of a server without a key for them',
    'wit-svid',
    'svid-service',
    'WIT-SVIDs are not signed',
  ),
  api('WIT authorities: not implemented', 'local-authority-service', 'local-authority', "'revokeWitAuthority'"),
  api('the methods that SPIRE counts together share a limit', 'method-policy', 'rate-limit', 'is shared as in SPIRE'),
  api('who gives up before its turn is told at once', 'rate-limit', 'rate-limit', 'would exceed context deadline'),
  api('the limiter waits', 'rate-limit', 'rate-limit', 'lets one attestation a second through'),
  api(
    'a batch above the burst is refused at once',
    'rate-limit',
    'rate-limit',
    'refuses at once a batch that no wait would let through',
  ),
  api(
    'no oracle: the same answer for no entry and for another’s',
    'svid-service',
    'svid-service',
    'is told of an entry of another agent what it is told of none',
  ),
  api('our own bundle is no federated one', 'federated-bundle-service', 'bundle-service', 'is never our own'),
  api(
    'an authority is activated, tainted and revoked in order',
    'local-authority-service',
    'local-authority',
    'each step once and in order',
  ),
];

/** §3.5 to §3.10: sizes, certificates, tokens, bundles, rotation. */
const limits: readonly RuleRow[] = [
  attack('16 KiB of metadata', 'runtime/rpc/handler-adapter.ts', 'above 16 KiB is refused'),
  attack(
    '1,000 calls on a connection',
    'runtime/rpc/server-sessions.ts',
    'lets at most 1,000 calls run on a connection',
  ),
  attack('h2 alone', 'runtime/rpc/tls-listener.ts', 'without h2 among its protocols'),
  [
    '10 s for a handshake',
    'runtime/rpc/tls-listener.ts',
    'test/runtime/rpc/tls.test.ts',
    'a client that stalls in the handshake is dropped',
  ],
  [
    '1,000 handshakes at once',
    'runtime/rpc/tls-listener.ts',
    'test/runtime/rpc/tls.test.ts',
    'beyond so many handshakes a connection is closed',
  ],
  [
    '20,000 connections at once',
    'runtime/rpc/tls-listener.ts',
    'test/runtime/rpc/tls.test.ts',
    'beyond so many connections one more is closed',
  ],
  api('evidence has 64 KiB at most', 'attest-agent', 'attest', 'with a payload of 64 KiB and a byte'),
  pki('no certificate outlives its issuer', 'issue', 'outlive'),
  pki('a leaf has no CA flag', 'x509-svid', 'with the CA flag'),
  pki('a leaf signs no certificates', 'x509-svid', 'that may sign certificates'),
  pki('a leaf’s key usage is critical', 'x509-svid', 'with a key usage that is not critical'),
  pki('an ID is verified by its own trust domain’s authorities', 'x509-svid', 'of another trust domain'),
  pki('a token has the headers that the standard knows', 'jwt-svid', 'with a critical header'),
  pki('a token is a JWT', 'jwt-svid', 'with another type'),
  pki('60 s of leeway', 'jwt-svid', 'an expiry within the leeway'),
  pki('a token has an audience', 'jwt-svid', 'without an audience'),
  [
    'a bundle’s authority is one certificate',
    'runtime/spiffe/bundle-document.ts',
    'test/runtime/spiffe/bundle.test.ts',
    'exactly one certificate',
  ],
  [
    'the last authority stays',
    'runtime/server/store/bundle-changes.ts',
    'test/runtime/server/store/bundles.test.ts',
    'LAST_AUTHORITY',
  ],
];

const federation = (rule: string, file: string, words: string, tests = file): RuleRow => [
  rule,
  `runtime/server/federation/${file}.ts`,
  `test/runtime/server/federation/${tests}.test.ts`,
  words,
];
const ca = (rule: string, file: string, words: string, tests = 'rotation'): RuleRow => [
  rule,
  `runtime/server/ca/${file}.ts`,
  `test/runtime/server/ca/${tests}.test.ts`,
  words,
];

/** §3.7, §3.9 and §3.10: profiles, federation, rotation. */
const authorities: readonly RuleRow[] = [
  pki('CAs and SVIDs have SPIRE’s profiles', 'profiles', 'has the profile of a SPIRE server', 'issue'),
  pki('serial numbers are 128 random bits', 'serial-number', 'serial numbers are 128 bits wide, never repeat', 'issue'),
  pki('DNS names: the first is the common name', 'issue', 'has its first DNS name as common name'),
  federation('a relationship’s URL is https, with a host and without a user', 'endpoint-url', '%j is refused'),
  federation('redirects stay on their host', 'http-get', 'after redirects on the same host', 'fetch-bundle'),
  federation('keys whose use is not known are left out', 'fetch-bundle', 'without the keys whose use is not known'),
  federation('a bundle is served over TLS 1.2 at least', 'bundle-endpoint', 'below TLS 1.2'),
  federation('a bundle is served at / alone, to GET alone', 'bundle-endpoint', "['GET', '/bundle', 404"),
  federation(
    'the sequence of a bundle that is kept never goes back',
    'update-bundle',
    'that is older than the one that is kept',
    'bundle-refresher',
  ),
  federation('a bundle of 1 MiB at most is read', 'http-get', 'bundle is larger than 1048576 bytes', 'fetch-bundle'),
  [
    'what the section `federation` may not say',
    'runtime/server/config/federation-section.ts',
    'test/runtime/server/config/federation-section.test.ts',
    'is refused, with its place',
  ],
  federation('and to so many at once', 'bundle-endpoint', 'when there are more than may be'),
  ca('prepare at half life, activate at five sixths', 'rotation', 'signs from five sixths on'),
  ca('prune a day after the end', 'maintenance', 'authorities are pruned a day after their end'),
  ca('the server renews itself at half life', 'server-identity', 'renews its own identity at half life'),
  ca('an authority that the bundle does not know signs nothing', 'create-authority', 'is not used'),
  ca('NotAfter is cut to the signer’s', 'lifetime', 'is cut to that of the signer', 'lifetime'),
  ca('ten of each kind stay in the journal', 'journal', 'all but the active and the last ten', 'journal'),
];

/** §3.11: what node attestors refuse. */
const attestors: readonly RuleRow[] = [
  api('join_token: unknown', 'attest-agent', 'attest', 'is not UTF-8'),
  api('join_token: expired', 'attest-agent', 'attest', 'that has expired is refused, and gone'),
  attestor('x509pop: no certificate', 'x509pop/evidence', 'x509pop/x509pop', 'no certificate to attest'),
  attestor('x509pop: another authority', 'x509pop/server', 'x509pop/x509pop', 'a chain that ends elsewhere'),
  attestor('x509pop: a leaf that may not sign', 'x509pop/server', 'x509pop/x509pop', 'a leaf that may not sign'),
  attestor('x509pop: a nonce of another length', 'x509pop/possession', 'x509pop/x509pop', 'a short nonce'),
  attestor(
    'x509pop: an RSA answer to another challenge',
    'x509pop/possession',
    'x509pop/x509pop',
    'an RSA answer to an ECDSA challenge',
  ),
  attestor('x509pop: another prefix in mode spiffe', 'x509pop/server', 'x509pop/x509pop', 'an ID outside the prefix'),
  attestor(
    'x509pop: another address',
    'x509pop/server',
    'x509pop/x509pop',
    'a caller at another address than the certificate names',
  ),
  attestor('aws_iid: no signature', 'aws_iid/verify-document', 'aws_iid/documents', 'without a signature'),
  attestor(
    'aws_iid: an unknown region',
    'aws_iid/verify-document',
    'aws_iid/documents',
    'of a region that we do not know',
  ),
  attestor(
    'aws_iid: an instance that AWS does not run',
    'aws_iid/server',
    'aws_iid/instances',
    'that AWS does not have, or has stopped',
  ),
  attestor(
    'aws_iid: no first network interface',
    'aws_iid/instance-record',
    'aws_iid/instances',
    'without its first network interface',
  ),
  attestor('aws_iid: another root volume', 'aws_iid/instance-record', 'aws_iid/instances', 'without its root volume'),
  attestor('aws_iid: a second attestation', 'aws_iid/server', 'aws_iid/documents', 'that was used before'),
  attestor('gcp_iit: another audience', 'gcp_iit/identity-token', 'gcp_iit/server', 'another audience'),
  attestor('gcp_iit: an unknown key', 'gcp_iit/google-keys', 'gcp_iit/server', 'an unknown key ID'),
  attestor('gcp_iit: expired', 'gcp_iit/identity-token', 'gcp_iit/server', 'an expired token'),
  attestor('gcp_iit: another project', 'gcp_iit/server', 'gcp_iit/server', 'an unlisted project'),
  attestor('gcp_iit: a second attestation', 'gcp_iit/server', 'gcp_iit/server', 'an instance that has attested before'),
  attestor('k8s_psat: another cluster', 'k8s_psat/server', 'k8s_psat/server', 'for another cluster'),
  attestor('k8s_psat: a cluster by a path', 'k8s_psat/server', 'k8s_psat/server', 'for a cluster by a path to it'),
  attestor(
    'k8s_psat: a path for a cluster',
    'k8s_psat/server-config',
    'k8s_psat/server',
    'a cluster name that is a path',
  ),
  attestor('k8s_psat: not authenticated', 'k8s_psat/token-review', 'k8s_psat/server', 'that is not authenticated'),
  attestor('k8s_psat: another audience', 'k8s_psat/token-review', 'k8s_psat/server', 'for another audience'),
  attestor('k8s_psat: another service account', 'k8s_psat/server', 'k8s_psat/server', 'of another service account'),
  attestor(
    'k8s_psat: a username of other form',
    'k8s_psat/token-review',
    'k8s_psat/server',
    'called like a service account',
  ),
  attestor('k8s_psat: a legacy token', 'k8s_psat/token-review', 'k8s_psat/server', 'which is bound to no pod'),
  attestor('k8s_psat: two pods', 'k8s_psat/token-review', 'k8s_psat/server', 'of two pods'),
  attestor(
    'k8s_psat: a pod made again',
    'k8s_psat/server',
    'k8s_psat/server',
    'that was made again under the same name',
  ),
  attestor('k8s_psat: a node without a UID', 'k8s_psat/cluster-api', 'k8s_psat/server', 'on a node without a UID'),
  api('any: an unknown type', 'attest-agent', 'attest', 'of a type that is not configured'),
  api('any: no CSR', 'attest-agent', 'attest', 'without a CSR'),
  api('any: banned', 'attest-agent', 'attest-agent', 'for a banned agent'),
];

export const rules: readonly RuleRow[] = [
  ...attacks,
  ...inputs,
  ...callers,
  ...limits,
  ...authorities,
  ...attestors,
  ...agentRules,
];
