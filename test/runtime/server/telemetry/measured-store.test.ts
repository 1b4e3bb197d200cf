import { describe, expect, it } from 'vitest';
import { StoreError } from '../../../../runtime/server/store/errors.ts';
import type { StoreErrorCode } from '../../../../runtime/server/store/errors.ts';
import type { Store } from '../../../../runtime/server/store/store.ts';
import { measureStore } from '../../../../runtime/server/telemetry/measured-store.ts';
import { expose } from '../../../../runtime/telemetry/exposition.ts';
import { createRegistry } from '../../../../runtime/telemetry/registry.ts';
import { parseScrape } from '../../../support/metrics.ts';

function measured(outcome: () => Promise<unknown>) {
  const registry = createRegistry({ prefix: 'spire_server', now: () => 0 });
  const store = measureStore({ fetchEntry: outcome, ping: outcome } as unknown as Store, registry);
  const values = () => parseScrape(expose(registry)).values;
  return { store, values };
}

describe('a measured store', () => {
  it('counts a call under SPIRE’s name and gives its result', async () => {
    const { store, values } = measured(() => Promise.resolve('found'));
    expect(await store.fetchEntry('a')).toBe('found');
    expect(values().get('spire_server_datastore_registration_entry_fetch{status="OK"}')).toBe(1);
    expect(values().get('spire_server_datastore_errors_total')).toBe(0);
  });

  it.for([
    ['INVALID', 'InvalidArgument', 0],
    ['NOT_FOUND', 'NotFound', 0],
    ['CONFLICT', 'AlreadyExists', 0],
    ['AGENT_BANNED', 'PermissionDenied', 0],
    ['LAST_AUTHORITY', 'FailedPrecondition', 0],
    ['UNAVAILABLE', 'Unavailable', 1],
    ['INTERNAL', 'Internal', 1],
  ] as const satisfies readonly (readonly [StoreErrorCode, string, number])[])(
    'counts %s as %s, and as %i errors of the datastore',
    async ([code, status, errors]) => {
      const { store, values } = measured(() => Promise.reject(new StoreError(code, 'no')));
      await expect(store.fetchEntry('a')).rejects.toMatchObject({ code });
      expect(values().get(`spire_server_datastore_registration_entry_fetch{status="${status}"}`)).toBe(1);
      expect(values().get('spire_server_datastore_errors_total')).toBe(errors);
    },
  );

  it('counts what is no error of the store as one of the datastore', async () => {
    const { store, values } = measured(() => Promise.reject(new Error('bug')));
    await expect(store.fetchEntry('a')).rejects.toThrow('bug');
    expect(values().get('spire_server_datastore_errors_total')).toBe(1);
  });

  it('leaves alone what SPIRE does not count', async () => {
    const { store, values } = measured(() => Promise.resolve());
    await store.ping();
    expect([...values().keys()]).toEqual(['spire_server_datastore_errors_total']);
  });
});
