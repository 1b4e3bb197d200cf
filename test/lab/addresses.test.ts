// The addresses that instances get: one for each, in the block that people know first, and in others where there are more.
import { expect, test } from 'vitest';
import { allocateMachine } from '../../lab/addresses.ts';
import type { LabContext } from '../../lab/context.ts';
import type { Ec2Instance } from '../../lab/aws/state.ts';

test('a thousand instances of one cloud have an address each, the first 254 where people look', () => {
  const instances: Pick<Ec2Instance, 'state' | 'machine'>[] = [];
  const state = { network: 100, nextMachine: 1, aws: { instances }, gcp: { instances: [] } };
  const context = { state } as unknown as LabContext;
  for (let count = 0; count < 1_000; count += 1) {
    const machine = allocateMachine(context, 'aws', '');
    if (machine !== undefined) instances.push({ state: 'running', machine });
  }
  const addresses = instances.map(({ machine }) => machine.address);
  expect(new Set(addresses).size).toBe(1_000);
  expect(new Set(addresses.slice(0, 254).map((address) => address.split('.')[2]))).toEqual(new Set(['1']));
  expect([...new Set(addresses.map((address) => address.split('.')[2]))]).toEqual(['1', '16', '17', '18']);
  expect(new Set(instances.map(({ machine }) => machine.number)).size).toBe(1_000);
  instances[3] = { state: 'terminated', machine: instances[3]!.machine };
  expect(allocateMachine(context, 'aws', '')?.address).toBe(addresses[3]);
  expect(allocateMachine(context, 'gcp', '')?.address).toMatch(/^127\.100\.2\./);
});
