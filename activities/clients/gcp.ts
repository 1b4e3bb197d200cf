// Google Cloud for the control plane: the instances of one trust domain; what else it has there is in the files beside.
import type { CloudClient } from '../cloud.ts';
import { digest, releaseLabel, stem } from '../cloud.ts';
import { failure } from '../failures.ts';
import { createGcpCommands, guestAttributesItem, releaseLabelKey } from './gcp-commands.ts';
import { groupPlaced } from './group-placed.ts';
import { createGcpCompute, operationOf } from './gcp-compute.ts';
import { gcpErrors, unlessAbsent } from './gcp-errors.ts';
import { accountEmail, createGcpIdentities } from './gcp-identities.ts';
import { createGcpInstances, homeZoneOf, instanceNameOf, regionOf, zoneOf } from './gcp-instances.ts';
import { createGcpNetworks } from './gcp-networks.ts';
import type { GcpSettings } from './gcp-rest.ts';
import { createGcpSecrets } from './gcp-secrets.ts';
import { segmentRemains } from './segment-remains.ts';
import { translated } from './translated.ts';

const bootScriptKey = 'startup-script';
const settingsLabel = 'espalier-settings';

export function createGcpClient(settings: GcpSettings): CloudClient {
  const { project } = settings;
  const identities = createGcpIdentities(settings);
  const secrets = createGcpSecrets(settings);
  const compute = createGcpCompute(settings);
  const { connect, finishZonal } = compute;
  const networks = createGcpNetworks(compute);
  const placed = createGcpInstances(compute);

  const commands = createGcpCommands({
    project,
    list: placed.list,
    async setMetadata(instance, metadataResource) {
      const { instances } = await connect();
      const zone = zoneOf(instance);
      const request = { project, zone, instance: instance.name ?? '', metadataResource };
      const [response] = await instances.setMetadata(request);
      await finishZonal(zone, operationOf(response));
    },
    async setLabels(instance, labels) {
      const { instances } = await connect();
      const zone = zoneOf(instance);
      const [response] = await instances.setLabels({
        project,
        zone,
        instance: instance.name ?? '',
        instancesSetLabelsRequestResource: { labels, labelFingerprint: instance.labelFingerprint ?? '' },
      });
      await finishZonal(zone, operationOf(response));
    },
    async guestAttributes({ zone, name: instance }, namespace) {
      const { instances } = await connect();
      const request = { project, zone, instance, queryPath: `${namespace}/` };
      const found = await unlessAbsent(() => instances.getGuestAttributes(request));
      return new Map((found?.[0]?.queryValue?.items ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
    },
  });

  const client: CloudClient = {
    ...identities,
    ...secrets,
    ...commands,
    ensureNetwork: ({ trustDomain }) => networks.ensure(trustDomain),
    removeNetwork: ({ trustDomain }) => networks.remove(trustDomain),

    async ensureInstance({ trustDomain, name, region, role, bootScript, owner, release, settings: made }) {
      const existing = await placed.find(trustDomain, name, region);
      if (existing !== undefined) {
        const actual = existing.labels?.['espalier-owner'];
        if (actual !== owner)
          throw failure('Conflict', `instance ${name} exists already and belongs to ${actual ?? 'nobody known'}`);
        return;
      }
      const { instances } = await connect();
      const zone = homeZoneOf(region);
      const [response] = await instances.insert({
        project,
        zone,
        // The same id for the same instance of the same run: a retry after a lost answer starts no second one.
        requestId: requestId(`${owner}/${trustDomain}/${name}`),
        instanceResource: {
          name: instanceNameOf(trustDomain, name),
          machineType: `zones/${zone}/machineTypes/${settings.machineType}`,
          labels: {
            'espalier-trust-domain': digest(trustDomain).slice(0, 8),
            'espalier-name': name,
            'espalier-role': role,
            'espalier-owner': owner,
            ...(made === undefined ? {} : { [settingsLabel]: made }),
            ...(release === undefined ? {} : { [releaseLabelKey]: releaseLabel(release) }),
          },
          tags: { items: [stem(trustDomain)] },
          disks: [{ boot: true, autoDelete: true, initializeParams: { sourceImage: settings.image } }],
          networkInterfaces: [{ network: 'global/networks/default' }],
          serviceAccounts: [
            {
              email: accountEmail(project, trustDomain, role),
              scopes: ['https://www.googleapis.com/auth/cloud-platform'],
            },
          ],
          metadata: {
            items: [
              { key: bootScriptKey, value: bootScript },
              { key: 'espalier-trust-domain', value: trustDomain },
              guestAttributesItem,
            ],
          },
        },
      });
      await finishZonal(zone, operationOf(response));
    },

    async findInstance({ trustDomain, name, region }) {
      const found = await placed.find(trustDomain, name, region);
      const address = found?.networkInterfaces?.[0]?.networkIP;
      if (
        found?.status !== 'RUNNING' ||
        found.id === null ||
        found.id === undefined ||
        address === null ||
        address === undefined
      )
        return undefined;
      const instanceId = String(found.id);
      return {
        name,
        cloud: 'gcp',
        region,
        instanceId,
        address,
        agentId: `spiffe://${trustDomain}/spire/agent/gcp_iit/${project}/${instanceId}`,
        ...launchOf(found.lastStartTimestamp ?? found.creationTimestamp),
      };
    },

    async isolateInstance({ trustDomain, name, region }) {
      const { instances } = await connect();
      const tag = await networks.ensureIsolation(trustDomain);
      const found = await placed.find(trustDomain, name, region);
      const items = found?.tags?.items ?? [];
      if (found === undefined || items.includes(tag)) return;
      const zone = zoneOf(found);
      const [response] = await instances.setTags({
        project,
        zone,
        instance: found.name ?? '',
        tagsResource: { items: [...items, tag], fingerprint: found.tags?.fingerprint ?? '' },
      });
      await finishZonal(zone, operationOf(response));
    },

    async removeInstance({ trustDomain, name, region }) {
      const { instances } = await connect();
      const found = await placed.find(trustDomain, name, region);
      if (found === undefined) return;
      const zone = zoneOf(found);
      await unlessAbsent(async () => {
        const [response] = await instances.delete({ project, zone, instance: found.name ?? '' });
        await finishZonal(zone, operationOf(response));
      });
    },

    async readConsole({ trustDomain, name, region }) {
      const { instances } = await connect();
      const found = await placed.find(trustDomain, name, region);
      if (found === undefined) throw failure('Unavailable', `gcp lists no instance ${name} in ${region}`);
      const [output] = await instances.getSerialPortOutput({
        project,
        zone: zoneOf(found),
        instance: found.name ?? '',
        port: 1,
      });
      return output.contents ?? '';
    },

    async listPlaced({ trustDomain }) {
      const found = await placed.listEverywhere(trustDomain);
      return groupPlaced(
        found.map((instance) => ({
          cloud: 'gcp',
          region: regionOf(instance),
          role: instance.labels?.['espalier-role'],
          name: instance.labels?.['espalier-name'],
          settings: instance.labels?.[settingsLabel],
        })),
      );
    },

    async listRemains({ trustDomain }) {
      const [roles, kept] = await Promise.all([identities.listRoles(trustDomain), secrets.listSecrets(trustDomain)]);
      return segmentRemains(trustDomain, { roles, secrets: kept.map(({ name }) => ({ name })) });
    },

    async listResources({ trustDomain, regions }) {
      const found = await Promise.all(
        regions.map(async (region) => {
          const listed = await placed.list(region, trustDomain);
          return listed.map((instance) => ({
            kind: 'instance' as const,
            name: instance.name ?? 'unnamed',
            owner: instance.labels?.['espalier-owner'],
          }));
        }),
      );
      return [
        ...found.flat(),
        ...(await networks.list(trustDomain)),
        ...(await identities.listIdentities(trustDomain)),
        ...(await secrets.listSecrets(trustDomain)),
      ];
    },
  };
  return translated(client, gcpErrors);
}

/** A UUID made of a name: Google takes nothing else as a request id. */
function requestId(name: string): string {
  const hex = digest(name);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function launchOf(timestamp: string | null | undefined): { readonly launchedAt?: string } {
  const at = Date.parse(timestamp ?? '');
  return Number.isNaN(at) ? {} : { launchedAt: new Date(at).toISOString() };
}
