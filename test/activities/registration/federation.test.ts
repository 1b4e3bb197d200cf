import { describe, expect, it } from 'vitest';
import { parseFederatedTrustDomain } from '../../../activities/registration/custom-resources/cluster-federated-trust-domain.ts';
import { planRelationships } from '../../../activities/registration/federation/plan-relationships.ts';
import type { Relationship } from '../../../activities/registration/federation/relationship.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { by } from './wanted.ts';

const web = {
  trustDomain: 'partner.org',
  bundleEndpointURL: 'https://partner.org/bundle',
  bundleEndpointProfile: { type: 'https_web' },
};
const spiffe = {
  ...web,
  bundleEndpointProfile: { type: 'https_spiffe', endpointSPIFFEID: 'spiffe://partner.org/spire/server' },
  trustDomainBundle: '{"keys": [], "spiffe_sequence": 7}',
};

describe('a ClusterFederatedTrustDomain', () => {
  it('is a relationship, with a bundle to begin with where it has one', () => {
    const relationship = { trustDomain: 'partner.org', url: 'https://partner.org/bundle' };
    expect(parseFederatedTrustDomain(web)).toEqual({ ...relationship, endpointId: undefined, bundle: undefined });
    expect(parseFederatedTrustDomain(spiffe)).toEqual({
      ...relationship,
      endpointId: 'spiffe://partner.org/spire/server',
      bundle: { ...emptyBundle(parseTrustDomain('partner.org')), sequenceNumber: 7 },
    });
  });

  it.for([
    [{ trustDomain: 'Partner.org' }, 'spec.trustDomain', 'lowercase'],
    [{ trustDomain: 'spiffe://partner.org' }, 'spec.trustDomain', 'limited to'],
    [{ bundleEndpointURL: 'http://partner.org' }, 'spec.bundleEndpointURL', 'is not https'],
    [{ bundleEndpointURL: 'partner.org/bundle' }, 'spec.bundleEndpointURL', 'is no URL'],
    [
      { bundleEndpointURL: 'https://me:secret@partner.org' },
      'spec.bundleEndpointURL',
      'holds a user name or a password',
    ],
    [{ bundleEndpointProfile: { type: 'https' } }, 'spec.bundleEndpointProfile.type', 'Invalid'],
    [
      { bundleEndpointProfile: { type: 'https_spiffe' } },
      'spec.bundleEndpointProfile.endpointSPIFFEID',
      'expected string',
    ],
    [
      { bundleEndpointProfile: { type: 'https_web', endpointSPIFFEID: 'spiffe://partner.org/a' } },
      'spec.bundleEndpointProfile.endpointSPIFFEID',
      'is not for https_web',
    ],
    [{ trustDomainBundle: '{"keys": 1}' }, 'spec', '"keys" is missing'],
  ] as const)('is refused with %o', ([changed, field, reason]) => {
    let refusal: unknown;
    try {
      parseFederatedTrustDomain({ ...spiffe, ...changed });
    } catch (cause) {
      refusal = cause;
    }
    expect(refusal).toMatchObject({ name: 'SpecError', faults: [{ field }] });
    expect((refusal as Error).message).toContain(reason);
    expect((refusal as Error).message).not.toContain('secret');
  });
});

describe('a plan of relationships', () => {
  const relationship = (trustDomain: string, more: Partial<Relationship> = {}): Relationship => ({
    trustDomain,
    url: `https://${trustDomain}/bundle`,
    endpointId: undefined,
    bundle: undefined,
    ...more,
  });
  const bundle = { ...emptyBundle(parseTrustDomain('a.org')), sequenceNumber: 1 };
  const plan = (
    wanted: readonly Relationship[],
    there: readonly Relationship[],
    recorded: Record<string, string> = {},
    more: { takesOver?: boolean; isComplete?: boolean } = {},
  ) =>
    planRelationships({
      declared: wanted.map((one, index) => ({ relationship: one, by: by(`r${index}`, { createdAt: index }) })),
      current: there,
      recorded,
      takesOver: false,
      isComplete: true,
      ...more,
    });

  it('makes what is missing, and records it before', () => {
    const { create, recordFirst, recordAfter } = plan([relationship('a.org')], []);
    expect(create.map(({ trustDomain }) => trustDomain)).toEqual(['a.org']);
    expect([recordFirst, recordAfter]).toEqual([{ 'a.org': '' }, { 'a.org': '' }]);
  });

  it('removes what it made and nobody wants, and nothing else', () => {
    const there = [relationship('a.org'), relationship('theirs.org')];
    const { remove, recordFirst, recordAfter } = plan([], there, { 'a.org': '', 'gone.org': '' });
    expect(remove).toEqual(['a.org']);
    expect([recordFirst, recordAfter]).toEqual([{ 'a.org': '', 'gone.org': '' }, {}]);
  });

  it('removes nothing while the resources of a cluster are not all known', () => {
    const { remove, recordAfter } = plan([], [relationship('a.org')], { 'a.org': '' }, { isComplete: false });
    expect([remove, recordAfter]).toEqual([[], { 'a.org': '' }]);
  });

  it('changes its own, and leaves alone what somebody else made otherwise', () => {
    const wanted = [
      relationship('a.org', { url: 'https://new.a.org' }),
      relationship('b.org', { url: 'https://new.b.org' }),
    ];
    const there = [relationship('a.org'), relationship('b.org')];
    const { update, faults, recordAfter } = plan(wanted, there, { 'a.org': '' });
    expect(update.map(({ trustDomain }) => trustDomain)).toEqual(['a.org']);
    expect(faults).toMatchObject([{ reason: 'somebody else has federated b.org otherwise, by https://b.org/bundle' }]);
    expect(recordAfter).toEqual({ 'a.org': '' });
  });

  it('lets what somebody else made alike stand, and does not call it its own', () => {
    const { create, update, faults, recordAfter } = plan([relationship('b.org')], [relationship('b.org')]);
    expect([create, update, faults, recordAfter]).toEqual([[], [], [], {}]);
  });

  it('takes over what stands where it is told to', () => {
    const wanted = [relationship('b.org', { url: 'https://new.b.org' })];
    const { update, recordAfter } = plan(wanted, [relationship('b.org')], {}, { takesOver: true });
    expect(update).toHaveLength(1);
    expect(recordAfter).toEqual({ 'b.org': '' });
  });

  it('gives a bundle once, and again only when the resource has another', () => {
    const wanted = relationship('a.org', { bundle });
    const { recordAfter } = plan([wanted], []);
    const there = [relationship('a.org', { bundle: { ...bundle, sequenceNumber: 9 } })];
    expect(plan([wanted], there, recordAfter).update).toEqual([]);
    const other = relationship('a.org', { bundle: { ...bundle, sequenceNumber: 2 } });
    expect(plan([other], there, recordAfter).update).toEqual([other]);
  });

  it('has the older of two resources for one trust domain stand', () => {
    const { create, faults } = plan([relationship('a.org'), relationship('a.org', { url: 'https://b' })], []);
    expect(create.map(({ url }) => url)).toEqual(['https://a.org/bundle']);
    expect(faults).toMatchObject([
      { by: 'demo: ClusterSPIFFEID r1', reason: 'a.org is federated by demo: ClusterSPIFFEID r0 already' },
    ]);
  });
});
