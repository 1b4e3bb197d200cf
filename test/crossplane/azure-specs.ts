// Specifications of the kinds that can be in Azure.
import { bootScript, everybody, networkRef, passwordSecretRef, reports, secrets } from './spec-parts.ts';
import type { Case } from './spec-parts.ts';

const azure = { trustDomain: 'example.org', cloud: 'azure', region: 'westeurope' };
const subscription = '00000000-0000-0000-0000-000000000003';
const inSubscription = `/subscriptions/${subscription}/resourceGroups/shared/providers/Microsoft`;
const machines = {
  ...azure,
  subscription,
  sshPublicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYHzqGWDYHpqcmYwVu0VgJ5G2WWKnBXzOv7NQHXYZ3i nobody',
};
const image = `${inSubscription}.Compute/images/espalier`;
const vaultId = `${inSubscription}.KeyVault/vaults/espalier`;
const privateDnsZoneId = `${inSubscription}.Network/privateDnsZones/espalier.postgres.database.azure.com`;

export const azureCases: readonly Case[] = [
  { name: 'network-azure', kind: 'SpireNetwork', spec: azure },
  { name: 'network-azure-full', kind: 'SpireNetwork', spec: { ...azure, ...everybody } },
  {
    name: 'datastore-azure',
    kind: 'SpireDatastore',
    spec: { ...azure, networkRef, passwordSecretRef, privateDnsZoneId },
  },
  {
    name: 'datastore-azure-fleeting',
    kind: 'SpireDatastore',
    spec: {
      ...azure,
      networkRef,
      passwordSecretRef,
      privateDnsZoneId,
      deletionProtection: false,
      multiZone: false,
      storageGigabytes: 100,
      machineType: 'B_Standard_B1ms',
    },
    observed: { instance: reports({ fqdn: 'database.example.net' }) },
  },
  {
    name: 'server-pool-azure',
    kind: 'SpireServerPool',
    spec: { ...machines, networkRef, image },
  },
  {
    name: 'server-pool-azure-full',
    kind: 'SpireServerPool',
    spec: {
      ...machines,
      networkRef,
      image,
      servers: 3,
      machineType: 'Standard_D4s_v5',
      bootScript,
      secrets,
      vaultId,
    },
    observed: {
      identity: reports({ id: 'identities/one', principalId: '7' }),
      'instance-group': reports({ id: 'sets/one' }),
    },
  },
  {
    name: 'node-pool-azure',
    kind: 'SpireNodePool',
    spec: { ...machines, networkRef, image, nodes: 50, bootScript },
  },
  {
    name: 'identity-azure',
    kind: 'SpireIdentity',
    spec: { ...azure, role: 'server-azure', secrets, vaultId },
    observed: { identity: reports({ id: 'identities/one', principalId: '7' }) },
  },
];
