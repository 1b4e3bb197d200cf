// The function behind its real protocol: gRPC over mutual TLS, as a process with the flags that Crossplane gives it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client, credentials, status } from '@grpc/grpc-js';
import type { ChannelCredentials, ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { serveFunction } from '../../crossplane/functions/serve.ts';
import type { RunningFunction } from '../../crossplane/functions/serve.ts';
import { runFunction } from '../../crossplane/functions/run-function.ts';
import { FunctionRunnerServiceService } from '../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import type {
  RunFunctionRequest,
  RunFunctionResponse,
} from '../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import { ecKeys, makeCertificate } from '../runtime/attest/certificates.ts';
import type { TestCertificate } from '../runtime/attest/certificates.ts';
import { requestFor } from './requests.ts';
import { cases } from './specs.ts';

const main = join(import.meta.dirname, '../../crossplane/functions/main.ts');
const ca = makeCertificate({ commonName: 'crossplane', keys: ecKeys(), ca: true });
const stranger = makeCertificate({ commonName: 'stranger', keys: ecKeys(), ca: true });
const request = requestFor(
  cases.find(({ name }) => name === 'network-aws-full')!,
  'namespaced',
);

let directory: string;
let running: RunningFunction;

interface Leaf {
  readonly certificate: Buffer;
  readonly key: Buffer;
}

function leafOf(issuer: TestCertificate): Leaf {
  const keys = ecKeys();
  const { pem } = makeCertificate({ commonName: 'function', keys, issuer, serialNumber: 2, ipv4: '127.0.0.1' });
  return { certificate: Buffer.from(pem), key: Buffer.from(keys.privateKey.export({ format: 'pem', type: 'pkcs8' })) };
}

const asCrossplane = (issuer: TestCertificate): ChannelCredentials => {
  const { certificate, key } = leafOf(issuer);
  return credentials.createSsl(Buffer.from(ca.pem), key, certificate);
};

function call(port: number, channel: ChannelCredentials): Promise<RunFunctionResponse> {
  const client = new Client(`127.0.0.1:${port}`, channel);
  const { path, requestSerialize, responseDeserialize } = FunctionRunnerServiceService.runFunction;
  return new Promise<RunFunctionResponse>((resolve, reject) => {
    const deadline = Date.now() + 20_000;
    client.makeUnaryRequest<RunFunctionRequest, RunFunctionResponse>(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      { deadline },
      (error, value) => {
        if (error) reject(error);
        else resolve(value!);
      },
    );
  }).finally(() => {
    client.close();
  });
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'function-'));
  const { certificate, key } = leafOf(ca);
  writeFileSync(join(directory, 'ca.crt'), ca.pem);
  writeFileSync(join(directory, 'tls.crt'), certificate);
  writeFileSync(join(directory, 'tls.key'), key, { mode: 0o600 });
  running = await serveFunction('127.0.0.1:0', { directory });
});
afterAll(async () => {
  await running.stop();
  rmSync(directory, { recursive: true });
});

it('answers Crossplane, over the wire as in the same process', async () => {
  expect(await call(running.port, asCrossplane(ca))).toEqual(runFunction(request));
});

it.for([
  ['without a certificate', () => credentials.createSsl(Buffer.from(ca.pem))],
  ['with a certificate of another authority', () => asCrossplane(stranger)],
  ['without TLS', () => credentials.createInsecure()],
] as const)('does not answer a caller %s', async ([, channel]) => {
  const refusal = await call(running.port, channel()).catch((cause: unknown) => cause as ServiceError);
  expect(refusal).toMatchObject({ code: status.UNAVAILABLE });
});

it('does not start where its certificates are not', async () => {
  await expect(serveFunction('127.0.0.1:0', { directory: join(directory, 'nowhere') })).rejects.toThrow(
    /nowhere.(ca\.crt|tls\.crt|tls\.key)/,
  );
});

it('does not start as a process without certificates, unless it is told to', async () => {
  const child = spawn(process.execPath, [main, '--address', '127.0.0.1:0'], {
    env: {},
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines = createInterface(child.stderr);
  const said: string[] = [];
  lines.on('line', (line) => said.push(line));
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(2);
  expect(said.join('\n')).toContain('--tls-server-certs-dir');
});

it('runs as a process, with the folder from the environment, until it is told to end', async () => {
  const child = spawn(process.execPath, [main, '--address', '127.0.0.1:0'], {
    env: { TLS_SERVER_CERTS_DIR: directory },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const port = Number(/port (\d+)$/.exec(line)?.[1]);
  expect(await call(port, asCrossplane(ca))).toEqual(runFunction(request));
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
