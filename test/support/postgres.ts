// One PostgreSQL per vitest run, started when the first test file asks for it, and an empty database for each file. `DATABASE_URL` names another server to use.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { inject } from 'vitest';
import { startPostgres } from './postgres-server.ts';
import type { PostgresServer } from './postgres-server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A Unix socket that answers each connection with the URL of the run's PostgreSQL. */
    postgresSocket: string;
  }
}

export interface TestDatabase {
  readonly url: string;
  /** Ends all its sessions and deletes it. */
  drop(): Promise<void>;
}

/** vitest's globalSetup; what it returns is run at the end. */
export async function setup(project: {
  provide: (key: 'postgresSocket', value: string) => void;
}): Promise<() => Promise<void>> {
  const directory = mkdtempSync(join(tmpdir(), 'espalier-test-'));
  const socketPath = join(directory, 'postgres.sock');
  let started: Promise<PostgresServer> | undefined;
  const answerWithUrl = async (): Promise<string> => {
    const given = process.env['DATABASE_URL'];
    if (given !== undefined) return given;
    started ??= startPostgres();
    return (await started).url;
  };
  const listener = createServer((socket) => {
    socket.on('error', () => undefined); // The worker that asked is gone.
    answerWithUrl().then(
      (url) => socket.end(url),
      (error: unknown) => socket.end(`! ${String(error)}`),
    );
  });
  await new Promise<void>((resolve) => listener.listen(socketPath, resolve));
  project.provide('postgresSocket', socketPath);
  return async () => {
    listener.close();
    const server = await started?.catch(() => undefined); // Its failure was told to whoever asked.
    await server?.remove();
    rmSync(directory, { recursive: true, force: true });
  };
}

/** An empty database; call it in `beforeAll`, and `drop` in `afterAll`. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = await serverUrl();
  const name = `test_${randomBytes(6).toString('hex')}`;
  await execute(server, `CREATE DATABASE ${name} TEMPLATE template0`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => execute(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function serverUrl(): Promise<string> {
  const answer = await new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = connect(inject('postgresSocket'));
    socket.setEncoding('utf8').on('data', (part: string) => (text += part));
    socket.once('error', reject).once('end', () => resolve(text));
  });
  if (answer.startsWith('! ')) throw new Error(answer.slice(2));
  return answer;
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
