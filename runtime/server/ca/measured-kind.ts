// One kind of authority with its preparations and activations counted, under the names that SPIRE's CA manager gives them.
import { createCallCounter } from '../../telemetry/call-counter.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import type { AuthorityKind } from './rotation.ts';
import type { Slot } from './slot.ts';

export function measureKind<S extends Slot>(kind: AuthorityKind<S>, metrics: Metrics): AuthorityKind<S> {
  const name = kind.name === 'x509' ? 'x509_ca' : 'jwt_key';
  const preparing = createCallCounter(metrics, ['ca', 'manager', name, 'prepare']);
  const activated = [
    // SPIRE leaves `ca` out for JWT keys.
    metrics.counter([...(name === 'x509_ca' ? ['ca'] : []), 'manager', name, 'activate']),
    ...(name === 'x509_ca' ? [metrics.counter(['ca', 'manager', 'x509_ca', 'rotate', 'count'])] : []),
  ];
  return {
    ...kind,
    mint: (slot) => preparing.measure(() => kind.mint(slot)),
    async remember(slots) {
      await kind.remember(slots);
      if (slots.some(([, status]) => status === 'active')) for (const counter of activated) counter.add();
    },
  };
}
