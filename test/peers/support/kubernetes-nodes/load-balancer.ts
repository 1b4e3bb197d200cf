// A STAND-IN for a cloud's load balancers: each Service of that type gets an address of this machine's loopback, where it answers whoever is outside the cluster.
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { KubernetesUser } from '../kubernetes.ts';
import type { Service } from './objects.ts';
import type { Route } from './relay.ts';

export interface LoadBalancer {
  /** Gives addresses to those that have none; the routes that lead from its sockets to the Services. */
  act(services: readonly Service[]): Promise<Route[]>;
  stop(): Promise<void>;
}

interface Balanced {
  readonly server: Server;
  readonly route: Route;
}

export function createLoadBalancer(options: {
  readonly administrator: KubernetesUser;
  readonly directory: string;
}): LoadBalancer {
  const { administrator, directory } = options;
  const known = new Map<string, Balanced>();
  /** Of this process: several clusters may be on the machine. */
  const block = `127.${200 + (process.pid % 50)}.${Math.floor(process.pid / 50) % 250}`;

  async function balance({ metadata, spec }: Service): Promise<Balanced> {
    const address = `${block}.${known.size + 1}`;
    const [{ port } = { port: 0 }] = spec.ports ?? [];
    const path = join(directory, `balancer-${known.size + 1}.sock`);
    const server = createServer((near) => {
      const far = connect(path);
      near.pipe(far).pipe(near);
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve));
    const status = { loadBalancer: { ingress: [{ ip: address }] } };
    const service = `/api/v1/namespaces/${metadata.namespace}/services/${metadata.name}/status`;
    await administrator.call('PATCH', service, { status }, { contentType: 'application/merge-patch+json' });
    return { server, route: { listen: `unix:${path}`, targets: [`${spec.clusterIP ?? ''}:${port}`] } };
  }

  return {
    async act(services) {
      for (const service of services)
        if (service.spec.type === 'LoadBalancer' && !known.has(service.metadata.uid))
          known.set(service.metadata.uid, await balance(service));
      return [...known.values()].map(({ route }) => route);
    },
    async stop() {
      await Promise.all([...known.values()].map(({ server }) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
