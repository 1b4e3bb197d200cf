// The kind that the operator watches, installed in both flavours as Crossplane installs it.
import { expect } from 'vitest';
import { compositeDefinition, toCustomResourceDefinitions } from '../../support/composite-definitions.ts';
import type { Kubernetes } from './kubernetes.ts';
import { eventually } from './processes.ts';

const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

export async function installDefinitions({ administrator }: Kubernetes): Promise<void> {
  for (const family of ['apis', 'legacy'] as const) {
    for (const definition of toCustomResourceDefinitions(compositeDefinition(family, 'trust-domain'))) {
      const { name } = definition.metadata;
      await administrator.call('POST', path, definition);
      await eventually(`${name} is established`, async () => {
        const { status } = await administrator.call<{ status?: { conditions?: object[] } }>('GET', `${path}/${name}`);
        expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'Established', status: 'True' }));
      });
    }
  }
}
