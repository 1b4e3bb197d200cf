// For how long a name may be remembered, by what is behind it: a cloud's load balancer moves, an address that moves between machines stays.
import type { DnsZoneSpec } from '../../specs.ts';

const ttlSeconds = { loadBalancer: 60, virtualIp: 300 } as const;

export function ttlOf(record: DnsZoneSpec['records'][number]): number {
  return ttlSeconds[record.at];
}

export function namesOf({ domain, records }: DnsZoneSpec): string[] {
  return records.map(({ name }) => `${name}.${domain}`);
}
