// Who may reach whom in a trust domain's network, once for all clouds. Servers are dialled; agents only dial out, so what comes in to nodes is for their
// workloads alone.
import type { NetworkSpec } from '../../specs.ts';

export interface Rule {
  readonly name: string;
  readonly of: 'servers' | 'nodes';
  readonly direction: 'ingress' | 'egress';
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** Of a range, which begins with the port. */
  readonly lastPort?: number;
  readonly cidrs: readonly string[];
}

export const ports = { server: 8081, health: 8080, federation: 8443, overlay: 51820, datastore: 5432 } as const;
/** Where workloads serve one another in mutual TLS. */
const workloadPorts = { port: 9443, lastPort: 9999 } as const;

const anywhere = ['0.0.0.0/0'];

/** Its ports, as GCP and Azure say them. */
export function portsOf({ port, lastPort }: Rule): string {
  return lastPort === undefined ? String(port) : `${port}-${lastPort}`;
}

/** A rule for nobody is none. */
export function rulesOf(spec: NetworkSpec): Rule[] {
  return everyRule(spec).filter(({ cidrs }) => cidrs.length > 0);
}

/** Always as many, in the same order: a new one goes to the end, as Azure goes by their places. */
export function everyRule(spec: NetworkSpec): Rule[] {
  const trustDomain = [spec.cidr, ...spec.peerCidrs];
  const inside = [spec.cidr];
  const into = { of: 'servers', direction: 'ingress' } as const;
  const outOf = (of: Rule['of']) => ({ of, direction: 'egress' }) as const;
  return [
    { ...into, name: 'spire-agent-to-server', protocol: 'tcp', port: ports.server, cidrs: trustDomain },
    { ...into, name: 'spire-health-monitoring', protocol: 'tcp', port: ports.health, cidrs: spec.monitoringCidrs },
    { ...into, name: 'spire-federation', protocol: 'tcp', port: ports.federation, cidrs: spec.federationCidrs },
    { ...into, name: 'overlay', protocol: 'udp', port: ports.overlay, cidrs: spec.overlayCidrs },
    {
      ...outOf('servers'),
      name: 'spire-downstream-to-upstream',
      protocol: 'tcp',
      port: ports.server,
      cidrs: trustDomain,
    },
    {
      ...outOf('servers'),
      name: 'spire-federation-out',
      protocol: 'tcp',
      port: ports.federation,
      cidrs: spec.federationCidrs,
    },
    { ...outOf('servers'), name: 'datastore', protocol: 'tcp', port: ports.datastore, cidrs: inside },
    { ...outOf('servers'), name: 'overlay-out', protocol: 'udp', port: ports.overlay, cidrs: spec.overlayCidrs },
    { ...outOf('nodes'), name: 'spire-agent-out', protocol: 'tcp', port: ports.server, cidrs: trustDomain },
    {
      name: 'workloads',
      of: 'nodes',
      direction: 'ingress',
      protocol: 'tcp',
      ...workloadPorts,
      cidrs: spec.workloadCidrs,
    },
    { ...outOf('nodes'), name: 'workloads-out', protocol: 'tcp', ...workloadPorts, cidrs: spec.workloadCidrs },
    ...(['servers', 'nodes'] as const).flatMap((of): Rule[] => [
      // The clouds' own APIs and the runtime's archive.
      { ...outOf(of), name: `${of}-https-out`, protocol: 'tcp', port: 443, cidrs: anywhere },
      { ...outOf(of), name: `${of}-dns-resolution`, protocol: 'udp', port: 53, cidrs: inside },
      { ...outOf(of), name: `${of}-dns-resolution-tcp`, protocol: 'tcp', port: 53, cidrs: inside },
    ]),
  ];
}
