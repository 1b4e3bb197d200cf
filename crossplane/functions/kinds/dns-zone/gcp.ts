// A private zone in Cloud DNS, seen by the network alone.
import { partLabel, reported } from '../../composed.ts';
import type { Built, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { ownPart, partOf } from '../../parts.ts';
import type { DnsZoneSpec } from '../../specs.ts';
import { namesOf, ttlOf } from './records.ts';

export function buildGcpDnsZone(scope: Scope, spec: DnsZoneSpec): Built {
  return {
    resources: [
      managedResource(scope, {
        name: 'zone',
        group: 'dns.gcp',
        kind: 'ManagedZone',
        labels: { [partLabel]: 'zone' },
        forProvider: {
          project: spec.project,
          dnsName: `${spec.domain}.`,
          description: `names of ${spec.trustDomain}`,
          visibility: 'private',
          privateVisibilityConfig: {
            networks: [{ networkUrlSelector: partOf(scope, spec.networkRef.name, 'network') }],
          },
        },
      }),
      ...spec.records.map((record) =>
        managedResource(scope, {
          name: `record-${record.name}`,
          group: 'dns.gcp',
          kind: 'RecordSet',
          forProvider: {
            project: spec.project,
            name: `${record.name}.${spec.domain}.`,
            type: record.type,
            ttl: ttlOf(record),
            rrdatas: record.type === 'CNAME' ? record.values.map(rooted) : record.values,
            managedZoneSelector: ownPart('zone'),
          },
        }),
      ),
    ],
    status: { zoneId: reported(scope, 'zone', 'id'), names: namesOf(spec) },
    waitingFor: [],
  };
}

/** Cloud DNS takes names of other hosts only with the dot at their end. */
function rooted(name: string): string {
  return name.endsWith('.') ? name : `${name}.`;
}
