// The trust domain's specification: what it means when little is said, and every fault with its place, all together.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { parseTrustDomainSpec } from '../../../activities/spec/check-spec.ts';
import { faultsOf } from '../../support/spec-faults.ts';

const gcp = { name: 'gcp', cloud: 'gcp', region: 'us-central1', attestor: 'gcp_iit' };
const aws = { name: 'aws', cloud: 'aws', region: 'us-east-1', attestor: 'aws_iid' };
const workload = { segment: 'gcp', environment: 'prod', team: 'demo', name: 'a', selectors: ['unix:uid:1'] };
const valid = { trustDomain: 'example.org', segments: [gcp, aws], workloads: [workload] };

describe('parseTrustDomainSpec', () => {
  it('fills in the defaults', () => {
    expect(parseTrustDomainSpec({ trustDomain: 'example.org', segments: [gcp] })).toEqual({
      trustDomain: 'example.org',
      infrastructure: 'lab',
      keyType: 'ec-p256',
      ttl: { root: '8760h', x509Svid: '1h', jwtSvid: '5m' },
      upstream: { cloud: 'gcp', region: 'us-central1', servers: 1 },
      segments: [{ ...gcp, servers: 1, nodes: 2, intermediateTtl: '12h' }],
      workloads: [],
    });
  });

  it('fills in the defaults inside of what is half said', () => {
    const spec = parseTrustDomainSpec({ ...valid, ttl: { x509Svid: '30m' }, upstream: { servers: 3 } });
    expect([spec.ttl, spec.upstream]).toEqual([
      { root: '8760h', x509Svid: '30m', jwtSvid: '5m' },
      { cloud: 'gcp', region: 'us-central1', servers: 3 },
    ]);
  });

  it('accepts the trust-domain.yaml that `npm start` grows', () => {
    expect(faultsOf(parseYaml(readFileSync(new URL('../../../trust-domain.yaml', import.meta.url), 'utf8')))).toEqual(
      [],
    );
  });

  it.each(['self-signed', 'disk'])('takes %s for the authority of the upstream', (authority) => {
    expect(parseTrustDomainSpec({ ...valid, upstream: { authority } }).upstream).toEqual({
      ...{ cloud: 'gcp', region: 'us-central1', servers: 1 },
      authority,
    });
  });

  it('refuses a segment with the name of the upstream, whose secrets it would share', () => {
    expect(faultsOf({ ...valid, segments: [gcp, aws, { ...aws, name: 'upstream' }] })).toEqual([
      'segments[2].name: upstream is the name of the tier above',
    ]);
  });

  it('refuses another authority of the upstream', () => {
    expect(faultsOf({ ...valid, upstream: { authority: 'vault' } })).toEqual([
      'upstream.authority: Invalid option: expected one of "self-signed"|"disk": "vault"',
    ]);
  });

  it('accepts what it gave back before', () => {
    const spec = parseTrustDomainSpec(valid);
    expect(parseTrustDomainSpec(spec)).toEqual(spec);
  });

  it('accepts one workload name in two segments, teams or environments', () => {
    const workloads = [
      workload,
      { ...workload, segment: 'aws' },
      { ...workload, team: 'b' },
      { ...workload, environment: 'dev' },
    ];
    expect(faultsOf({ ...valid, workloads })).toEqual([]);
  });

  it('reports all faults together, shape and meaning, each with its place', () => {
    const input = {
      trustDomain: 'Example.org',
      extra: 1,
      ttl: { x509Svid: '3h', jwtSvid: '5d' },
      segments: [
        { ...gcp, region: 'X' },
        { ...aws, name: 'gcp', attestor: 'gcp_iit', nodes: 0 },
      ],
      workloads: [
        { ...workload, segment: 'nowhere', selectors: ['unix', ':x'] },
        { ...workload, name: 'Upper', team: '..' },
        workload,
        workload,
      ],
    };
    expect(faultsOf(input)).toEqual([
      'ttl.jwtSvid: must be a duration with units, such as 12h or 1h30m: "5d"',
      'segments[0].region: must be a region name, such as us-central1 or us-east-1: "X"',
      'segments[1].nodes: Too small: expected number to be >=1: 0',
      'workloads[1].name: must be 1 to 32 lower-case letters, digits and dashes, starting with a letter: "Upper"',
      'document: Unrecognized key: "extra"',
      'trustDomain: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores: "Example.org"',
      'segments[0].intermediateTtl: TTL lattice broken: intermediate TTL 12h0m0s is shorter than 6 × X.509-SVID TTL 3h0m0s',
      'segments[1].intermediateTtl: TTL lattice broken: intermediate TTL 12h0m0s is shorter than 6 × X.509-SVID TTL 3h0m0s',
      'segments[1]: duplicate name: "gcp"',
      'segments[1].attestor: nodes of aws attest with aws_iid, not gcp_iit',
      'workloads[0].segment: no segment has the name "nowhere"',
      'workloads[0].selectors[0]: selector "unix" must be formatted as type:value: "unix"',
      'workloads[0].selectors[1]: missing selector type: ":x"',
      'workloads[3]: duplicate name: "gcp/prod/demo/a"',
    ]);
  });

  it('says how many there are, one a line', () => {
    expect(() => parseTrustDomainSpec({ ...valid, trustDomain: '', keyType: 'dsa' })).toThrow(
      expect.objectContaining({
        code: 'INVALID_SPEC',
        message:
          "the trust domain's specification has 2 faults:\n" +
          '  keyType: Invalid option: expected one of "ec-p256"|"ec-p384"|"rsa-2048"|"rsa-4096": "dsa"\n' +
          '  trustDomain: trust domain is missing: ""',
      }),
    );
  });

  it.each<[string, unknown, readonly string[]]>([
    ['null', null, ['document: Invalid input: expected object, received null']],
    ['a list', [], ['document: Invalid input: expected object, received array']],
    [
      'nothing',
      {},
      [
        'trustDomain: Invalid input: expected string, received undefined',
        'segments: Invalid input: expected array, received undefined',
      ],
    ],
    ['no segments', { trustDomain: 'a.b', segments: [] }, ['segments: must name at least one segment']],
    [
      'segments that are no list',
      { trustDomain: 'a.b', segments: { gcp } },
      ['segments: Invalid input: expected array, received object'],
    ],
    [
      'a segment that is text',
      { trustDomain: 'a.b', segments: ['gcp'] },
      ['segments[0]: Invalid input: expected object, received string: "gcp"'],
    ],
    ['null for the TTLs', { ...valid, ttl: null }, ['ttl: Invalid input: expected object, received null']],
    ['an unknown TTL', { ...valid, ttl: { root: '99h', leaf: '1h' } }, ['ttl: Unrecognized key: "leaf"']],
    [
      'an unknown key of a segment',
      { ...valid, segments: [{ ...gcp, zone: 'a' }, aws] },
      ['segments[0]: Unrecognized key: "zone"'],
    ],
    [
      'a cloud that is not there',
      { ...valid, upstream: { cloud: 'azure' } },
      ['upstream.cloud: Invalid option: expected one of "gcp"|"aws": "azure"'],
    ],
  ])('refuses %s', (_what, input, faults) => {
    expect(faultsOf(input)).toEqual(faults);
  });

  it.each([
    ['', 'trust domain is missing'],
    ['spiffe://example.org', 'must be a trust domain name, not an ID or a path'],
    ['example.org/path', 'must be a trust domain name, not an ID or a path'],
    ['example.org/', 'must be a trust domain name, not an ID or a path'],
    ['EXAMPLE.org', 'trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores'],
    ['exam ple', 'trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores'],
    ['x'.repeat(256), 'trust domain is longer than 255 bytes'],
  ])('refuses the trust domain %.30j', (trustDomain, message) => {
    expect(faultsOf({ ...valid, trustDomain })).toEqual([`trustDomain: ${message}: ${JSON.stringify(trustDomain)}`]);
  });

  it.each([
    ['12', 'must be a duration with units, such as 12h or 1h30m'],
    ['1d', 'must be a duration with units, such as 12h or 1h30m'],
    ['-1h', 'must be a duration with units, such as 12h or 1h30m'],
    ['1.h', 'must be a duration with units, such as 12h or 1h30m'],
    [' 1h', 'must be a duration with units, such as 12h or 1h30m'],
    ['', 'must be a duration with units, such as 12h or 1h30m'],
    ['0h', 'must be longer than nothing and shorter than 292 years'],
    ['0h0m0.0s', 'must be longer than nothing and shorter than 292 years'],
    ['2562048h', 'must be longer than nothing and shorter than 292 years'],
  ])('refuses the TTL %j', (text, message) => {
    const reason = `${message}: ${JSON.stringify(text)}`;
    expect(
      faultsOf({
        ...valid,
        ttl: { root: text, x509Svid: text, jwtSvid: text },
        segments: [gcp, { ...aws, intermediateTtl: text }],
      }),
    ).toEqual([
      `ttl.root: ${reason}`,
      `ttl.x509Svid: ${reason}`,
      `ttl.jwtSvid: ${reason}`,
      `segments[1].intermediateTtl: ${reason}`,
    ]);
  });

  it.each<[Record<string, string>, string, string | undefined]>([
    [{ root: '72h', x509Svid: '2h' }, '12h', undefined],
    [{ root: '71h' }, '12h', 'root TTL 71h0m0s is shorter than 6 × intermediate TTL 12h0m0s'],
    [{ x509Svid: '2h' }, '11h', 'intermediate TTL 11h0m0s is shorter than 6 × X.509-SVID TTL 2h0m0s'],
    [{ jwtSvid: '3h' }, '12h', 'intermediate TTL 12h0m0s is shorter than 6 × JWT-SVID TTL 3h0m0s'],
    // A wrong level does not hide that the two others do not agree.
    [{ root: '72h', x509Svid: '1x' }, '13h', 'root TTL 72h0m0s is shorter than 6 × intermediate TTL 13h0m0s'],
  ])('holds the TTLs %j and the intermediate of %s to the lattice', (ttl, intermediateTtl, message) => {
    const faults = faultsOf({ ...valid, ttl, segments: [{ ...gcp, intermediateTtl }], workloads: [] });
    const expected = message === undefined ? [] : [`segments[0].intermediateTtl: TTL lattice broken: ${message}`];
    expect(faults.filter((fault) => fault.includes('lattice'))).toEqual(expected);
  });

  it.each<[string, Record<string, unknown>, string]>([
    [
      'an attestor of another cloud',
      { attestor: 'aws_iid' },
      '.attestor: nodes of gcp attest with gcp_iit, not aws_iid',
    ],
    [
      'a region of no cloud',
      { region: 'here' },
      '.region: must be a region name, such as us-central1 or us-east-1: "here"',
    ],
    ['ten servers', { servers: 10 }, '.servers: Too big: expected number to be <=9: 10'],
    ['half a node', { nodes: 1.5 }, '.nodes: Invalid input: expected int, received number: 1.5'],
    [
      'a name with a slash',
      { name: 'a/b' },
      '.name: must be 1 to 32 lower-case letters, digits and dashes, starting with a letter: "a/b"',
    ],
  ])('refuses a segment with %s', (_what, change, fault) => {
    expect(faultsOf({ ...valid, segments: [{ ...gcp, ...change }], workloads: [] })).toEqual([`segments[0]${fault}`]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['no selectors', { selectors: [] }, '.selectors: must name at least one selector'],
    [
      'an empty selector',
      { selectors: ['unix:uid:1', ''] },
      '.selectors[1]: selector "" must be formatted as type:value: ""',
    ],
    ['a selector without its value', { selectors: ['unix:'] }, '.selectors[0]: missing selector value: "unix:"'],
    ['a segment that is not there', { segment: 'azure' }, '.segment: no segment has the name "azure"'],
    ['a segment of another case', { segment: 'GCP' }, '.segment: no segment has the name "GCP"'],
    ['dots for a team', { team: '..' }, ': path cannot contain dot segments: "/prod/gcp/../a"'],
    [
      'a slash in its team',
      { team: 'a/b' },
      '.team: must be one path segment of letters, digits, dots, dashes and underscores: "a/b"',
    ],
    [
      'an escape in its team',
      { team: '%2e%2e' },
      '.team: must be one path segment of letters, digits, dots, dashes and underscores: "%2e%2e"',
    ],
    [
      'an unknown environment',
      { environment: 'test' },
      '.environment: Invalid option: expected one of "prod"|"staging"|"dev"|"poc": "test"',
    ],
  ])('refuses a workload with %s', (_what, change, fault) => {
    expect(faultsOf({ ...valid, workloads: [{ ...workload, ...change }] })).toEqual([`workloads[0]${fault}`]);
  });

  it('does not blame a workload for the faults of its segment', () => {
    const segments = [{ ...gcp, name: 'Wrong' }, aws];
    expect(faultsOf({ ...valid, segments, workloads: [{ ...workload, segment: 'Wrong' }] })).toEqual([
      'segments[0].name: must be 1 to 32 lower-case letters, digits and dashes, starting with a letter: "Wrong"',
    ]);
  });

  it('reports every repeated name, and the first of them not', () => {
    expect(faultsOf({ ...valid, segments: [gcp, gcp, aws, gcp], workloads: [] })).toEqual([
      'segments[1]: duplicate name: "gcp"',
      'segments[3]: duplicate name: "gcp"',
    ]);
  });

  it('refuses any other document with a SpecError, never otherwise', () => {
    const json = fc.jsonValue({ maxDepth: 3 });
    const field = fc.constantFrom('trustDomain', 'ttl', 'upstream', 'segments', 'workloads', 'keyType', '__proto__');
    fc.assert(
      fc.property(json, field, (value, key) => {
        faultsOf(value);
        faultsOf({ ...valid, [key]: value });
        faultsOf({ ...valid, [key]: [value] });
        faultsOf({ ...valid, segments: [{ ...gcp, name: value, cloud: value, intermediateTtl: value }] });
        faultsOf({ ...valid, workloads: [{ ...workload, segment: value, selectors: [value] }] });
      }),
    );
  });
});
