// A lab of its own for a test file, in this process, with the real SDKs' clients for it.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { EC2Client } from '@aws-sdk/client-ec2';
import { IAMClient } from '@aws-sdk/client-iam';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { STSClient } from '@aws-sdk/client-sts';
import { startLab } from '../../lab/lab.ts';
import type { Lab } from '../../lab/lab.ts';
import { findProcesses } from '../../lab/instance/processes.ts';

export interface TestLab {
  readonly lab: Lab;
  readonly directory: string;
  /** What the log said: empty when all is well. */
  readonly log: string[];
  close(): Promise<void>;
}

export async function startTestLab(directory = mkdtempSync(join(tmpdir(), 'lab-'))): Promise<TestLab> {
  const log: string[] = [];
  // On a network away from where the labs of people are.
  const lab = await startLab({
    stateDirectory: directory,
    port: 0,
    network: 100,
    clock: Date.now,
    log: (line) => log.push(line),
  });
  return {
    lab,
    directory,
    log,
    async close() {
      await lab.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string };

export function awsClients(
  { lab }: Pick<TestLab, 'lab'>,
  credentials: Credentials = lab.description.aws.credentials,
  region = 'us-east-1',
) {
  const settings = { region, endpoint: lab.description.endpoint, credentials, maxAttempts: 1 };
  return {
    ec2: new EC2Client(settings),
    iam: new IAMClient(settings),
    sts: new STSClient(settings),
    secrets: new SecretsManagerClient(settings),
  };
}

export function trustPolicy(principal: object, action: string, condition?: object): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: principal,
        Action: action,
        ...(condition === undefined ? {} : { Condition: condition }),
      },
    ],
  });
}

export function rightsPolicy(actions: string[], resource: string | string[]): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: actions, Resource: resource }],
  });
}

/** REST with the owner's token, or another. */
export async function gcpRest(
  test: Pick<TestLab, 'lab'>,
  method: string,
  path: string,
  body?: unknown,
  token = test.lab.description.gcp.accessToken,
) {
  const response = await fetch(`${test.lab.description.endpoint}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  timeout = 20_000,
): Promise<T> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeout} ms`);
    await sleep(50);
  }
}

/** Directories of the instances of a lab's state, by number. */
export function instanceDirectory(directory: string, number: number): string {
  return join(directory, 'i', String(number));
}

export function processesOf(directory: string, number: number): { pid: number; command: string }[] {
  return findProcesses(instanceDirectory(directory, number)).map((pid) => ({ pid, command: commandOf(pid) }));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
