// Crossplane as far as tests have it: the definitions of the providers and ours on a real API server, the real function as a process behind mutual TLS, and
// STAND-INS for the core (core.ts) and for the providers (providers.ts), which make in a lab what the clouds would be asked for.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { parse } from 'yaml';
import { FunctionRunnerServiceService } from '../../../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import type {
  RunFunctionRequest,
  RunFunctionResponse,
} from '../../../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import { ecKeys, makeCertificate } from '../../../runtime/attest/certificates.ts';
import { compositeDefinition, folders, toCustomResourceDefinitions } from '../../../support/composite-definitions.ts';
import { definitionFiles } from '../../../support/custom-resources.ts';
import type { Definition } from '../../../support/custom-resources.ts';
import type { Kubernetes } from '../kubernetes.ts';
import { eventually, freePort, start } from '../processes.ts';
import { root } from '../programs.ts';
import { openApi } from './api.ts';
import type { Kind } from './api.ts';
import { awsMakers } from './aws.ts';
import type { AwsLab } from './aws.ts';
import { startCore } from './core.ts';
import { openLabDatabase } from './database.ts';
import { gcpMakers } from './gcp.ts';
import type { GcpLab } from './gcp.ts';
import { startProviders } from './providers.ts';
import type { Providers } from './providers.ts';

export interface CrossplaneOptions {
  readonly directory: string;
  readonly kubernetes: Kubernetes;
  readonly namespace: string;
  readonly lab: {
    readonly endpoint: string;
    readonly aws: Omit<AwsLab, 'endpoint'>;
    readonly gcp: Omit<GcpLab, 'endpoint'>;
  };
  /** The PostgreSQL that RDS and Cloud SQL are, and the password that their master users have on it. */
  readonly database: { readonly adminUrl: string; readonly password: string };
}

export interface Crossplane {
  readonly providers: Pick<Providers, 'trouble'>;
  log(): string;
  stop(): Promise<void>;
}

/** Those of our kinds that are namespaced, and what they are composed of; the API server must have them before anything is started that looks for kinds. */
export async function installKinds({ administrator }: Kubernetes): Promise<Kind[]> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const foreign = definitionFiles()
    .filter(
      (file) => /\/(aws|gcp)\/[a-z0-9.]+\.m\.|protection\.crossplane/.test(file) && !file.includes('providerconfig'),
    )
    .map((file) => parse(readFileSync(file, 'utf8')) as Definition);
  const ours = folders('apis').flatMap((folder) => toCustomResourceDefinitions(compositeDefinition('apis', folder)));
  const definitions = [...foreign, ...ours].filter(({ spec }) => spec.scope === 'Namespaced');
  const pending = [...definitions];
  await Promise.all(
    [0, 1, 2, 3].map(async () => {
      for (let next = pending.pop(); next !== undefined; next = pending.pop())
        await administrator.call('POST', path, next);
    }),
  );
  await eventually(
    'the kinds are served',
    async () => {
      const { items } = await administrator.call<{
        items: { status?: { conditions?: { type: string; status: string }[] } }[];
      }>('GET', path);
      const open = items.filter(
        ({ status }) =>
          status?.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True') !== true,
      );
      if (open.length > 0) throw new Error(`${open.length} are not established`);
    },
    180_000,
  );
  return definitions.map(({ spec: { group, names, versions } }) => ({
    group,
    version: (versions.find(({ storage }) => storage) ?? versions[0])!.name,
    kind: names.kind,
    plural: names.plural,
  }));
}

export async function startCrossplane(options: CrossplaneOptions, kinds: readonly Kind[]): Promise<Crossplane> {
  const { kubernetes, namespace, lab, database } = options;
  const directory = join(options.directory, 'crossplane');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const logPath = join(directory, 'stand-ins.log');
  const log = (line: string): void => appendFileSync(logPath, `${new Date().toISOString()} ${line}\n`);
  const composer = await startFunction(directory);
  const api = openApi(kubernetes.user('crossplane', 'system:masters').kubeconfig, namespace);
  const server = openLabDatabase(database.adminUrl, database.password);
  const core = startCore({ api, kinds, runFunction: composer.runFunction, log });
  const providers = startProviders({
    api,
    kinds: kinds.filter(({ group }) => group.endsWith('.m.upbound.io')),
    makers: {
      ...awsMakers({ endpoint: lab.endpoint, ...lab.aws }, server),
      ...gcpMakers({ endpoint: lab.endpoint, ...lab.gcp }, server, api),
    },
    log,
  });
  return {
    providers,
    log: () => readFileSync(logPath, 'utf8'),
    async stop() {
      await Promise.all([core.stop(), providers.stop()]);
      api.close();
      await server.stop();
      await composer.stop();
    },
  };
}

async function startFunction(directory: string) {
  const ca = makeCertificate({ commonName: 'crossplane', keys: ecKeys(), ca: true });
  const leaf = (commonName: string, serialNumber: number) => {
    const keys = ecKeys();
    const { pem } = makeCertificate({ commonName, keys, issuer: ca, serialNumber, ipv4: '127.0.0.1' });
    return { pem, key: String(keys.privateKey.export({ format: 'pem', type: 'pkcs8' })) };
  };
  const served = leaf('function', 2);
  const certificates = join(directory, 'function');
  mkdirSync(certificates, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries({ 'ca.crt': ca.pem, 'tls.crt': served.pem, 'tls.key': served.key }))
    writeFileSync(join(certificates, name), text, { mode: 0o600 });
  const address = `127.0.0.1:${await freePort()}`;
  const main = join(root, 'crossplane/functions/main.ts');
  const program = start(process.execPath, [main, '--address', address, '--tls-server-certs-dir', certificates], {
    logPath: join(directory, 'function.log'),
  });
  const asked = leaf('core', 3); // not the CA's name: it would seem to have signed itself
  const channel = credentials.createSsl(Buffer.from(ca.pem), Buffer.from(asked.key), Buffer.from(asked.pem));
  const client = new Client(address, channel);
  await eventually('the function listens', () => {
    program.checkRunning();
    if (!program.log().includes('listening')) throw new Error(program.log());
  });
  const { path, requestSerialize, responseDeserialize } = FunctionRunnerServiceService.runFunction;
  return {
    runFunction: (request: RunFunctionRequest): Promise<RunFunctionResponse> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest<RunFunctionRequest, RunFunctionResponse>(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          { deadline: Date.now() + 20_000 },
          (error, answer) => {
            if (error) reject(error);
            else resolve(answer!);
          },
        );
      }),
    async stop(): Promise<void> {
      client.close();
      await program.stop();
    },
  };
}
