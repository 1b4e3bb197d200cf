// What an administrator asks of a server over its API: every call that administrators may make, in an order in which each finds what it needs, and the
// refusals that they meet most. A question may use what came back before.
import { createCsr } from '../../../runtime/pki/csr.ts';
import { issueSelfSignedCa } from '../../../runtime/pki/issue.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';

export interface Answer {
  readonly code: string;
  readonly message: string;
  readonly response?: unknown;
}

export interface Question {
  /** Unique; answers are found by it. */
  readonly title: string;
  /** `entry.v1.Entry/GetEntry`. */
  readonly method: string;
  readonly request: (before: (title: string) => Answer) => object;
}

const td = 'example.org';
const id = (path: string, trustDomain = td) => ({ trustDomain, path });
const entryOf = (path: string, more: object = {}) => ({
  spiffeId: id(path),
  parentId: id('/node/one'),
  selectors: [{ type: 'unix', value: 'uid:4711' }],
  ...more,
});
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const newSigner = () => signerOf(generateKeyPairSync('ec-p256').privateKey);
const csr = base64(createCsr({ signer: newSigner(), spiffeId: parseSpiffeId(`spiffe://${td}/minted`) }));
const foreignRoot = base64(
  issueSelfSignedCa({
    signer: newSigner(),
    subject: { organization: 'foreign' },
    spiffeId: parseSpiffeId('spiffe://foreign.test'),
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + 30 * 86_400_000,
  }).der,
);
const foreignBundle = { trustDomain: 'foreign.test', x509Authorities: [{ asn1: foreignRoot }], refreshHint: 60 };

function ask(title: string, method: string, request: object | Question['request'] = {}): Question {
  return { title, method, request: typeof request === 'function' ? (request as Question['request']) : () => request };
}

type Found = Readonly<Record<string, { readonly authorityId?: string } | undefined>>;
const authority = (answer: Answer, slot: string): string => (answer.response as Found)[slot]?.authorityId ?? 'missing';

const entries: readonly Question[] = [
  ask('create entries, good and bad', 'entry.v1.Entry/BatchCreateEntry', {
    entries: [
      entryOf('/web', { id: 'web', hint: 'web', x509SvidTtl: 600, dnsNames: ['web.example.org'] }),
      entryOf('/web'),
      entryOf('/spire/agent/x'),
      entryOf('/bad', { selectors: [] }),
      entryOf('/bad', { selectors: [{ type: 'a:b', value: 'c' }] }),
      entryOf('/bad', { parentId: id('/node', 'foreign.test') }),
      entryOf('/bad', { spiffeId: id('//bad') }),
      entryOf('/bad', { dnsNames: ['*.*.example.org'] }),
      entryOf('/bad', { federatesWith: ['Not A Domain'] }),
      entryOf('/bad', { x509SvidTtl: -1 }),
      entryOf('/bad', { id: 'sp ace' }),
      entryOf('/bad', { hint: 'h'.repeat(1025) }),
    ],
  }),
  ask('create with a mask', 'entry.v1.Entry/BatchCreateEntry', {
    entries: [entryOf('/masked', { id: 'masked' })],
    outputMask: { spiffeId: true },
  }),
  ask('create none', 'entry.v1.Entry/BatchCreateEntry'),
  ask('count entries', 'entry.v1.Entry/CountEntries'),
  ask('count by ID', 'entry.v1.Entry/CountEntries', { filter: { bySpiffeId: id('/web') } }),
  ask('get an entry', 'entry.v1.Entry/GetEntry', { id: 'web' }),
  ask('get no entry', 'entry.v1.Entry/GetEntry', { id: 'nothing' }),
  ask('get without an ID', 'entry.v1.Entry/GetEntry'),
  ask('list by parent', 'entry.v1.Entry/ListEntries', { filter: { byParentId: id('/node/one') } }),
  ask('list by selectors', 'entry.v1.Entry/ListEntries', {
    filter: { bySelectors: { selectors: [{ type: 'unix', value: 'uid:4711' }], match: 'MATCH_EXACT' } },
    outputMask: { selectors: true },
  }),
  ask('list by no selectors', 'entry.v1.Entry/ListEntries', { filter: { bySelectors: { selectors: [] } } }),
  ask('list by a wrong ID', 'entry.v1.Entry/ListEntries', { filter: { bySpiffeId: id('/web', 'foreign.test') } }),
  ask('list by no trust domains', 'entry.v1.Entry/ListEntries', { filter: { byFederatesWith: { trustDomains: [] } } }),
  ask('list by a hint', 'entry.v1.Entry/ListEntries', { filter: { byHint: 'web' } }),
  ask('list downstream ones', 'entry.v1.Entry/ListEntries', { filter: { byDownstream: true } }),
  ask('update entries', 'entry.v1.Entry/BatchUpdateEntry', {
    entries: [
      entryOf('/web', { id: 'web', hint: 'other' }),
      entryOf('/web', { id: 'nothing' }),
      entryOf('/web', { id: 'web', spiffeId: id('/spire/server') }),
    ],
    inputMask: { hint: true, spiffeId: true },
  }),
  ask('update to no selectors', 'entry.v1.Entry/BatchUpdateEntry', {
    entries: [{ id: 'web', selectors: [] }],
    inputMask: { selectors: true },
  }),
  ask('delete entries', 'entry.v1.Entry/BatchDeleteEntry', { ids: ['masked', 'nothing', ''] }),
];

const agents: readonly Question[] = [
  ask('count agents', 'agent.v1.Agent/CountAgents'),
  ask('count banned agents', 'agent.v1.Agent/CountAgents', { filter: { byBanned: true } }),
  ask('list agents', 'agent.v1.Agent/ListAgents', { filter: { byAttestationType: 'join_token' } }),
  ask('list agents by no selectors', 'agent.v1.Agent/ListAgents', { filter: { bySelectorMatch: { selectors: [] } } }),
  ask('get no agent', 'agent.v1.Agent/GetAgent', { id: id('/spire/agent/join_token/nothing') }),
  ask('get what is no agent', 'agent.v1.Agent/GetAgent', { id: id('/web') }),
  ask('get an agent of others', 'agent.v1.Agent/GetAgent', { id: id('/spire/agent/a/b', 'foreign.test') }),
  ask('ban no agent', 'agent.v1.Agent/BanAgent', { id: id('/spire/agent/join_token/nothing') }),
  ask('delete no agent', 'agent.v1.Agent/DeleteAgent', { id: id('/spire/agent/join_token/nothing') }),
  ask('make a token', 'agent.v1.Agent/CreateJoinToken', { ttl: 60, token: 'word', agentId: id('/node/word') }),
  ask('make it again', 'agent.v1.Agent/CreateJoinToken', { ttl: 60, token: 'word' }),
  ask('make one that lives for no time', 'agent.v1.Agent/CreateJoinToken', { ttl: 0 }),
  ask('make one for a reserved ID', 'agent.v1.Agent/CreateJoinToken', { ttl: 60, agentId: id('/spire/agent/x') }),
  ask('renew as if an agent', 'agent.v1.Agent/RenewAgent', { params: { csr } }),
];

const bundles: readonly Question[] = [
  ask('get the bundle', 'bundle.v1.Bundle/GetBundle'),
  ask('get a part of the bundle', 'bundle.v1.Bundle/GetBundle', { outputMask: { refreshHint: true } }),
  ask('append nothing', 'bundle.v1.Bundle/AppendBundle'),
  ask('append an authority', 'bundle.v1.Bundle/AppendBundle', { x509Authorities: [{ asn1: foreignRoot }] }),
  ask('append what is none', 'bundle.v1.Bundle/AppendBundle', { x509Authorities: [{ asn1: 'AAAA' }] }),
  ask('create foreign bundles', 'bundle.v1.Bundle/BatchCreateFederatedBundle', {
    bundle: [
      foreignBundle,
      foreignBundle,
      { ...foreignBundle, trustDomain: td },
      { ...foreignBundle, trustDomain: 'Not' },
    ],
  }),
  ask('update foreign bundles', 'bundle.v1.Bundle/BatchUpdateFederatedBundle', {
    bundle: [
      { ...foreignBundle, refreshHint: 90 },
      { ...foreignBundle, trustDomain: 'nobody.test' },
    ],
    inputMask: { refreshHint: true },
  }),
  ask('set foreign bundles', 'bundle.v1.Bundle/BatchSetFederatedBundle', {
    bundle: [
      { ...foreignBundle, sequenceNumber: 7 },
      { ...foreignBundle, trustDomain: 'second.test' },
    ],
  }),
  ask('get a foreign bundle', 'bundle.v1.Bundle/GetFederatedBundle', { trustDomain: 'foreign.test' }),
  ask('get no foreign bundle', 'bundle.v1.Bundle/GetFederatedBundle', { trustDomain: 'nobody.test' }),
  ask('get our own as a foreign bundle', 'bundle.v1.Bundle/GetFederatedBundle', { trustDomain: td }),
  ask('list foreign bundles', 'bundle.v1.Bundle/ListFederatedBundles'),
  ask('count bundles', 'bundle.v1.Bundle/CountBundles'),
  ask('an entry that federates', 'entry.v1.Entry/BatchCreateEntry', {
    entries: [entryOf('/federated', { id: 'federated', federatesWith: ['foreign.test'] })],
  }),
  ask('delete a bundle in use', 'bundle.v1.Bundle/BatchDeleteFederatedBundle', {
    trustDomains: ['foreign.test', 'nobody.test', td],
    mode: 'RESTRICT',
  }),
  ask('dissociate and delete', 'bundle.v1.Bundle/BatchDeleteFederatedBundle', {
    trustDomains: ['foreign.test'],
    mode: 'DISSOCIATE',
  }),
  ask('the entry is there without it', 'entry.v1.Entry/GetEntry', { id: 'federated' }),
  ask('publish as if downstream', 'bundle.v1.Bundle/PublishJWTAuthority', { jwtAuthority: { keyId: 'k' } }),
];

const svids: readonly Question[] = [
  ask('mint an X.509-SVID', 'svid.v1.SVID/MintX509SVID', { csr, ttl: 60 }),
  ask('mint by nothing', 'svid.v1.SVID/MintX509SVID'),
  ask('mint by what is no request', 'svid.v1.SVID/MintX509SVID', { csr: 'AAAA' }),
  ask('mint a JWT-SVID', 'svid.v1.SVID/MintJWTSVID', { id: id('/minted'), audience: ['us'], ttl: 60 }),
  ask('mint for nobody', 'svid.v1.SVID/MintJWTSVID', { id: id('/minted') }),
  ask('mint without an ID', 'svid.v1.SVID/MintJWTSVID', { audience: ['us'] }),
  ask('mint for others', 'svid.v1.SVID/MintJWTSVID', { id: id('/minted', 'foreign.test'), audience: ['us'] }),
  ask('sign as if an agent', 'svid.v1.SVID/BatchNewX509SVID', { params: [{ entryId: 'web', csr }] }),
  ask('sign a token as if an agent', 'svid.v1.SVID/NewJWTSVID', { entryId: 'web', audience: ['us'] }),
  ask('sign as if downstream', 'svid.v1.SVID/NewDownstreamX509CA', { csr }),
];

const profile = { trustDomain: 'third.test', bundleEndpointUrl: 'https://third.test/bundle', httpsWeb: {} };
const federation: readonly Question[] = [
  ask('create relationships', 'trustdomain.v1.TrustDomain/BatchCreateFederationRelationship', {
    federationRelationships: [
      profile,
      profile,
      { ...profile, trustDomain: td },
      { ...profile, trustDomain: 'fourth.test', bundleEndpointUrl: 'http://fourth.test' },
      { trustDomain: 'fifth.test', bundleEndpointUrl: 'https://fifth.test' },
    ],
  }),
  ask('get a relationship', 'trustdomain.v1.TrustDomain/GetFederationRelationship', { trustDomain: 'third.test' }),
  ask('get no relationship', 'trustdomain.v1.TrustDomain/GetFederationRelationship', { trustDomain: 'nobody.test' }),
  ask('update relationships', 'trustdomain.v1.TrustDomain/BatchUpdateFederationRelationship', {
    federationRelationships: [
      { ...profile, bundleEndpointUrl: 'https://third.test/other' },
      { ...profile, trustDomain: 'nobody.test' },
    ],
    inputMask: { bundleEndpointUrl: true },
  }),
  ask('list relationships', 'trustdomain.v1.TrustDomain/ListFederationRelationships'),
  ask('refresh nobody', 'trustdomain.v1.TrustDomain/RefreshBundle', { trustDomain: 'nobody.test' }),
  ask('delete relationships', 'trustdomain.v1.TrustDomain/BatchDeleteFederationRelationship', {
    trustDomains: ['third.test', 'nobody.test', td],
  }),
];

/** Forced rotation of one kind of authority, with the steps that may not be taken in between. */
function rotation(kind: 'X509' | 'JWT'): Question[] {
  const on = (method: string) => `localauthority.v1.LocalAuthority/${method}`;
  const title = (step: string) => `${kind}: ${step}`;
  const prepared = (before: (title: string) => Answer) => authority(before(title('prepare')), 'preparedAuthority');
  const old = (before: (title: string) => Answer) => authority(before(title('state at first')), 'active');
  return [
    ask(title('state at first'), on(`Get${kind}AuthorityState`)),
    ask(title('activate nothing'), on(`Activate${kind}Authority`)),
    ask(title('taint nothing'), on(`Taint${kind}Authority`)),
    ask(title('activate before any is prepared'), on(`Activate${kind}Authority`), { authorityId: 'other' }),
    ask(title('prepare'), on(`Prepare${kind}Authority`)),
    ask(title('state when prepared'), on(`Get${kind}AuthorityState`)),
    ask(title('taint the active one'), on(`Taint${kind}Authority`), (before) => ({ authorityId: old(before) })),
    ask(title('activate another'), on(`Activate${kind}Authority`), { authorityId: 'other' }),
    ask(title('activate'), on(`Activate${kind}Authority`), (before) => ({ authorityId: prepared(before) })),
    ask(title('revoke before it is tainted'), on(`Revoke${kind}Authority`), (before) => ({ authorityId: old(before) })),
    ask(title('taint'), on(`Taint${kind}Authority`), (before) => ({ authorityId: old(before) })),
    ask(title('taint again'), on(`Taint${kind}Authority`), (before) => ({ authorityId: old(before) })),
    ask(title('revoke another'), on(`Revoke${kind}Authority`), { authorityId: 'other' }),
    ask(title('revoke'), on(`Revoke${kind}Authority`), (before) => ({ authorityId: old(before) })),
    ask(title('state at last'), on(`Get${kind}AuthorityState`)),
  ];
}

const upstream: readonly Question[] = ['Taint', 'Revoke'].map((act) =>
  ask(`${act} an upstream where there is none`, `localauthority.v1.LocalAuthority/${act}X509UpstreamAuthority`, {
    subjectKeyId: 'abcd',
  }),
);

const wit: readonly Question[] = [
  ask('mint a WIT-SVID', 'svid.v1.SVID/MintWITSVID', { id: id('/minted'), signingAlgorithm: 'ES256' }),
  ask('sign a WIT-SVID as if an agent', 'svid.v1.SVID/BatchNewWITSVID', { params: [{ entryId: 'web' }] }),
  ask('publish a WIT key as if downstream', 'bundle.v1.Bundle/PublishWITAuthority'),
  ...['Get:State', 'Prepare:', 'Activate:', 'Taint:', 'Revoke:'].map((call) => {
    const [act = '', rest = ''] = call.split(':');
    return ask(`WIT: ${act.toLowerCase()}`, `localauthority.v1.LocalAuthority/${act}WITAuthority${rest}`);
  }),
];

/** Calls that an administrator may not make over TCP, and those that no SPIRE of today answers. */
const elsewhere: readonly Question[] = [
  ask('debug', 'debug.v1.Debug/GetInfo'),
  ask('log level', 'logger.v1.Logger/GetLogger'),
  ask('authorized entries', 'entry.v1.Entry/GetAuthorizedEntries'),
  ask('status', 'agent.v1.Agent/PostStatus'),
];

export const adminSession: readonly Question[] = [
  ...entries,
  ...agents,
  ...bundles,
  ...svids,
  ...federation,
  ...rotation('JWT'),
  ...rotation('X509'),
  ...upstream,
  ...wit,
  ...elsewhere,
];
