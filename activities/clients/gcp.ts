// Google Cloud for the control plane: instances and firewalls of one trust domain. The compute client is loaded when first needed: it is large.
import type {
  FirewallsClient,
  InstancesClient,
  ZoneOperationsClient,
  GlobalOperationsClient,
} from '@google-cloud/compute';
import type { protos } from '@google-cloud/compute';
import type { CloudClient } from '../cloud.ts';
import { digest, stem } from '../cloud.ts';
import { failure } from '../failures.ts';
import { healthPort, serverPort } from '../plan.ts';
import { gcpErrors, unlessAbsent, unlessPresent } from './gcp-errors.ts';
import { accountEmail, createGcpIdentities } from './gcp-identities.ts';
import { createAuth } from './gcp-rest.ts';
import type { GcpSettings } from './gcp-rest.ts';
import { createGcpSecrets } from './gcp-secrets.ts';
import { translated } from './translated.ts';

type Operation = protos.google.cloud.compute.v1.IOperation;
type GcpInstance = protos.google.cloud.compute.v1.IInstance;

interface Compute {
  readonly instances: InstancesClient;
  readonly firewalls: FirewallsClient;
  readonly zoneOperations: ZoneOperationsClient;
  readonly globalOperations: GlobalOperationsClient;
}

const bootScriptKey = 'startup-script';

export function createGcpClient(settings: GcpSettings): CloudClient {
  const { project } = settings;
  const identities = createGcpIdentities(settings);
  const secrets = createGcpSecrets(settings);
  let connected: Promise<Compute> | undefined;
  const connect = () => (connected ??= connectCompute(settings));
  const zoneOf = (region: string) => `${region}-a`;
  const nameOf = (trustDomain: string, name: string) => `${stem(trustDomain)}-${name}`;

  async function getInstance(trustDomain: string, name: string, region: string): Promise<GcpInstance | undefined> {
    const { instances } = await connect();
    const request = { project, zone: zoneOf(region), instance: nameOf(trustDomain, name) };
    const found = await unlessAbsent(() => instances.get(request));
    return found?.[0];
  }

  async function finishZonal(zone: string, started: Operation): Promise<void> {
    const { zoneOperations } = await connect();
    let operation = started;
    while (operation.status !== 'DONE') {
      [operation] = await zoneOperations.wait({ project, zone, operation: operation.name ?? '' });
    }
    refuseFailed(operation);
  }

  async function finishGlobal(started: Operation): Promise<void> {
    const { globalOperations } = await connect();
    let operation = started;
    while (operation.status !== 'DONE') {
      [operation] = await globalOperations.wait({ project, operation: operation.name ?? '' });
    }
    refuseFailed(operation);
  }

  const client: CloudClient = {
    ...identities,
    ...secrets,

    async ensureNetwork({ trustDomain }) {
      const { firewalls } = await connect();
      const firewallResource = {
        name: `${stem(trustDomain)}-instances`,
        network: 'global/networks/default',
        direction: 'INGRESS',
        sourceRanges: ['10.0.0.0/8'],
        targetTags: [stem(trustDomain)],
        // Agents only dial out; servers are reached on their API and health ports, demonstration workloads on theirs.
        allowed: [{ IPProtocol: 'tcp', ports: [String(serverPort), String(healthPort), '9443-9999'] }],
      };
      await unlessPresent(async () => {
        const [response] = await firewalls.insert({ project, firewallResource });
        await finishGlobal(operationOf(response));
      });
    },

    async removeNetwork({ trustDomain }) {
      const { firewalls } = await connect();
      await unlessAbsent(async () => {
        const [response] = await firewalls.delete({ project, firewall: `${stem(trustDomain)}-instances` });
        await finishGlobal(operationOf(response));
      });
    },

    async ensureInstance({ trustDomain, name, region, role, bootScript, owner }) {
      const existing = await getInstance(trustDomain, name, region);
      if (existing !== undefined) {
        const actual = existing.labels?.['espalier-owner'];
        if (actual !== owner)
          throw failure('Conflict', `instance ${name} exists already and belongs to ${actual ?? 'nobody known'}`);
        return;
      }
      const { instances } = await connect();
      const zone = zoneOf(region);
      const [response] = await instances.insert({
        project,
        zone,
        // The same id for the same instance of the same run: a retry after a lost answer starts no second one.
        requestId: requestId(`${owner}/${trustDomain}/${name}`),
        instanceResource: {
          name: nameOf(trustDomain, name),
          machineType: `zones/${zone}/machineTypes/${settings.machineType}`,
          labels: {
            'espalier-trust-domain': digest(trustDomain).slice(0, 8),
            'espalier-name': name,
            'espalier-role': role,
            'espalier-owner': owner,
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
            ],
          },
        },
      });
      await finishZonal(zone, operationOf(response));
    },

    async findInstance({ trustDomain, name, region }) {
      const found = await getInstance(trustDomain, name, region);
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

    async removeInstance({ trustDomain, name, region }) {
      const { instances } = await connect();
      const zone = zoneOf(region);
      await unlessAbsent(async () => {
        const [response] = await instances.delete({ project, zone, instance: nameOf(trustDomain, name) });
        await finishZonal(zone, operationOf(response));
      });
    },

    async readConsole({ trustDomain, name, region }) {
      const { instances } = await connect();
      const [output] = await instances.getSerialPortOutput({
        project,
        zone: zoneOf(region),
        instance: nameOf(trustDomain, name),
        port: 1,
      });
      return output.contents ?? '';
    },

    async listResources({ trustDomain, regions }) {
      const { instances, firewalls } = await connect();
      const found = await Promise.all(
        regions.map(async (region) => {
          const filter = `labels.espalier-trust-domain=${digest(trustDomain).slice(0, 8)}`;
          const [listed] = await instances.list({ project, zone: zoneOf(region), filter });
          return listed.map((instance) => ({
            kind: 'instance' as const,
            name: instance.name ?? 'unnamed',
            owner: instance.labels?.['espalier-owner'],
          }));
        }),
      );
      const firewall = `${stem(trustDomain)}-instances`;
      const network = await unlessAbsent(() => firewalls.get({ project, firewall }));
      return [
        ...found.flat(),
        ...(network === undefined ? [] : [{ kind: 'network' as const, name: firewall, owner: undefined }]),
        ...(await identities.listIdentities(trustDomain)),
        ...(await secrets.listSecrets(trustDomain)),
      ];
    },
  };
  return translated(client, gcpErrors);
}

async function connectCompute(settings: GcpSettings): Promise<Compute> {
  const [{ v1 }, authClient] = await Promise.all([import('@google-cloud/compute'), createAuth(settings)]);
  const endpoint = settings.endpoint === undefined ? undefined : new URL(settings.endpoint);
  const options = {
    fallback: true,
    authClient: authClient as never, // the compute client declares the type of its own copy of google-auth-library
    ...(endpoint === undefined
      ? {}
      : { apiEndpoint: endpoint.hostname, port: Number(endpoint.port), protocol: endpoint.protocol.replace(':', '') }),
  };
  return {
    instances: new v1.InstancesClient(options),
    firewalls: new v1.FirewallsClient(options),
    zoneOperations: new v1.ZoneOperationsClient(options),
    globalOperations: new v1.GlobalOperationsClient(options),
  };
}

/** The client wraps the operation in one that polls Google's own address; ours must follow the endpoint. */
function operationOf(response: { latestResponse: unknown }): Operation {
  return response.latestResponse as Operation;
}

function refuseFailed(operation: Operation): void {
  const errors = operation.error?.errors ?? [];
  if (errors.length === 0) return;
  const [first] = errors;
  const type = first?.code?.includes('QUOTA') === true ? 'QuotaExceeded' : 'Unavailable';
  throw failure(
    type,
    `gcp ${operation.operationType ?? 'operation'}: ${errors.map(({ code, message }) => `${code ?? ''}: ${message ?? ''}`).join('; ')}`,
  );
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
