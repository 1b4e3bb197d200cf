// Firewall rules of one trust domain on Google Cloud: what its instances are reached on, and the two that cut an instance off.
import type { protos } from '@google-cloud/compute';
import type { CloudResource } from '../cloud.ts';
import { stem } from '../cloud.ts';
import { healthPort, serverPort } from '../plan.ts';
import { operationOf } from './gcp-compute.ts';
import type { GcpCompute } from './gcp-compute.ts';
import { unlessAbsent, unlessPresent } from './gcp-errors.ts';

type Rule = protos.google.cloud.compute.v1.IFirewall;

export interface GcpNetworks {
  ensure(trustDomain: string): Promise<void>;
  /** Rules that nothing passes, for instances with the tag that is returned. */
  ensureIsolation(trustDomain: string): Promise<string>;
  remove(trustDomain: string): Promise<void>;
  list(trustDomain: string): Promise<CloudResource[]>;
}

/** A rule is for one of the two. */
const everywhere = { '': ['0.0.0.0/0'], '-ipv6': ['::/0'] } as const;

export function createGcpNetworks({ project, connect, finishGlobal }: GcpCompute): GcpNetworks {
  const namesOf = (trustDomain: string): string[] => {
    const name = stem(trustDomain);
    const isolating = Object.keys(everywhere).flatMap((family) =>
      ['in', 'out'].map((way) => `${name}-isolated-${way}${family}`),
    );
    return [`${name}-instances`, ...isolating];
  };

  async function ensureRule(rule: Rule): Promise<void> {
    const { firewalls } = await connect();
    const firewallResource = { ...rule, network: 'global/networks/default' };
    await unlessPresent(async () => {
      const [response] = await firewalls.insert({ project, firewallResource });
      await finishGlobal(operationOf(response));
    });
  }

  return {
    ensure: (trustDomain) =>
      ensureRule({
        name: `${stem(trustDomain)}-instances`,
        direction: 'INGRESS',
        sourceRanges: ['10.0.0.0/8'],
        targetTags: [stem(trustDomain)],
        // Agents only dial out; servers are reached on their API and health ports, demonstration workloads on theirs.
        allowed: [{ IPProtocol: 'tcp', ports: [String(serverPort), String(healthPort), '9443-9999'] }],
      }),
    async ensureIsolation(trustDomain) {
      const tag = `${stem(trustDomain)}-isolated`;
      const rule = { priority: 0, targetTags: [tag], denied: [{ IPProtocol: 'all' }] };
      for (const [family, ranges] of Object.entries(everywhere)) {
        await ensureRule({ ...rule, name: `${tag}-in${family}`, direction: 'INGRESS', sourceRanges: [...ranges] });
        await ensureRule({ ...rule, name: `${tag}-out${family}`, direction: 'EGRESS', destinationRanges: [...ranges] });
      }
      return tag;
    },
    async remove(trustDomain) {
      const { firewalls } = await connect();
      for (const firewall of namesOf(trustDomain)) {
        await unlessAbsent(async () => {
          const [response] = await firewalls.delete({ project, firewall });
          await finishGlobal(operationOf(response));
        });
      }
    },
    async list(trustDomain) {
      const { firewalls } = await connect();
      const found = await Promise.all(
        namesOf(trustDomain).map(async (firewall) => {
          const rule = await unlessAbsent(() => firewalls.get({ project, firewall }));
          return rule === undefined ? [] : [{ kind: 'network' as const, name: firewall, owner: undefined }];
        }),
      );
      return found.flat();
    },
  };
}
