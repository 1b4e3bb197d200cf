// What is applied to a cluster: within the rules that every pod of deploy/ is held to, and as the specification wants it.
import { describe, expect, it } from 'vitest';
import { agentObjects } from '../../../activities/clusters/agent-objects.ts';
import type { BaseObject } from '../../../activities/clusters/bases.ts';
import { serverObjects } from '../../../activities/clusters/server-objects.ts';
import { deploymentFaults, podsOf } from '../../deploy/kubernetes/objects.ts';
import type { KubernetesObject } from '../../deploy/kubernetes/objects.ts';
import { podFaults } from '../../deploy/kubernetes/pod-rules.ts';
import { owned } from './clusters.ts';

function objectsOf(change: object = {}): BaseObject[] {
  const input = owned(change);
  return [...serverObjects(input), ...agentObjects(input.plan, input.cluster)];
}
function find(objects: readonly BaseObject[], kind: string, name: string): BaseObject {
  const [found, ...others] = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined || others.length > 0) throw new Error(`${others.length + 1} of ${kind} ${name}`);
  return found;
}

describe('what is applied to a cluster', () => {
  it('holds the rules for pods, and every namespace denies by default', () => {
    const objects = objectsOf() as unknown as KubernetesObject[];
    expect(podsOf(objects).map(({ name }) => name)).toEqual([
      'StatefulSet spire-server',
      'StatefulSet spire-db',
      'DaemonSet spire-agent',
    ]);
    expect(podsOf(objects).flatMap(({ spec }) => podFaults(spec))).toEqual([]);
    const namespaces = ['spire-server', 'spire-system'].map((name) => ({
      ...{ apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
    }));
    expect(deploymentFaults([...namespaces, ...objects])).toEqual([]);
  });

  it('is in a place of its own each', () => {
    const places = objectsOf().map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`);
    expect(new Set(places).size).toBe(places.length);
  });

  it('holds no secret: passwords and keys are read from where they are kept', () => {
    const text = JSON.stringify(objectsOf());
    expect(text).not.toContain('PRIVATE KEY');
    expect(text).toContain('password=${DATABASE_PASSWORD}');
  });

  it('has a Service for each server, exposed as the specification says', () => {
    for (const expose of ['ClusterIP', 'NodePort', 'LoadBalancer']) {
      const objects = objectsOf({ servers: 3, expose });
      expect(find(objects, 'StatefulSet', 'spire-server').spec).toMatchObject({ replicas: 3 });
      for (const name of ['spire-server-0', 'spire-server-1', 'spire-server-2'])
        expect(find(objects, 'Service', name).spec).toMatchObject({
          type: expose,
          selector: { 'statefulset.kubernetes.io/pod-name': name },
        });
      // Agents go by the one that stands for all of them.
      expect(find(objects, 'Service', 'spire-server').spec).not.toHaveProperty('type');
    }
  });

  it('runs the image of the specification and no other of ours', () => {
    const image = 'registry.example.org/espalier-runtime:1.2.3';
    const images = podsOf(objectsOf({ image }) as unknown as KubernetesObject[]).flatMap(({ spec }) =>
      spec.containers.map((container) => `${container.name} ${container.image}`),
    );
    expect(images).toEqual([
      `spire-server ${image}`,
      `upstream-agent ${image}`,
      'postgres docker.io/library/postgres:17.6',
      `spire-agent ${image}`,
    ]);
  });

  it('names the storage class for both volumes, and none where nothing is said', () => {
    const classes = (change: object) =>
      ['spire-server', 'spire-db'].map((name) => {
        const { spec } = find(objectsOf(change), 'StatefulSet', name);
        const [claim] = spec?.['volumeClaimTemplates'] as readonly { spec: { storageClassName?: string } }[];
        return claim?.spec.storageClassName;
      });
    expect(classes({ storageClass: 'fast' })).toEqual(['fast', 'fast']);
    expect(classes({})).toEqual([undefined, undefined]);
  });

  it('makes pods anew where their configuration is another', () => {
    const noted = (address: string) => {
      const input = owned();
      const { spec } = find(
        serverObjects({ ...input, upstream: { ...input.upstream, address } }),
        'StatefulSet',
        'spire-server',
      );
      return (spec?.['template'] as { metadata: { annotations: object } }).metadata.annotations;
    };
    expect(noted('10.1.0.2')).toEqual(noted('10.1.0.2'));
    expect(noted('10.1.0.2')).not.toEqual(noted('10.1.0.3'));
  });

  it('lets the server out to its upstream, wherever that listens', () => {
    const policy = (address: string) => {
      const input = owned();
      return find(
        serverObjects({ ...input, upstream: { ...input.upstream, address } }),
        'NetworkPolicy',
        'spire-server-to-upstream',
      ).spec;
    };
    expect(policy('10.1.0.2')).toMatchObject({ egress: [{ ports: [{ port: 8081, protocol: 'TCP' }] }] });
    expect(policy('10.1.0.2:443')).toMatchObject({ egress: [{ ports: [{ port: 443, protocol: 'TCP' }] }] });
  });
});
