// A private zone in Route 53, seen by the network alone.
import { partLabel, reported } from '../../composed.ts';
import type { Built, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { ownPart, partOf } from '../../parts.ts';
import type { DnsZoneSpec } from '../../specs.ts';
import { namesOf, ttlOf } from './records.ts';

export function buildAwsDnsZone(scope: Scope, spec: DnsZoneSpec): Built {
  return {
    resources: [
      managedResource(scope, {
        name: 'zone',
        group: 'route53.aws',
        kind: 'Zone',
        labels: { [partLabel]: 'zone' },
        forProvider: {
          name: spec.domain,
          comment: `names of ${spec.trustDomain}`,
          vpc: [{ vpcRegion: spec.region, vpcIdSelector: partOf(scope, spec.networkRef.name, 'vpc') }],
          tags: { 'trust-domain': spec.trustDomain },
        },
      }),
      ...spec.records.map((record) =>
        managedResource(scope, {
          name: `record-${record.name}`,
          group: 'route53.aws',
          kind: 'Record',
          forProvider: {
            name: `${record.name}.${spec.domain}`,
            type: record.type,
            ttl: ttlOf(record),
            records: record.values,
            zoneIdSelector: ownPart('zone'),
          },
        }),
      ),
    ],
    status: { zoneId: reported(scope, 'zone', 'id'), names: namesOf(spec) },
    waitingFor: [],
  };
}
