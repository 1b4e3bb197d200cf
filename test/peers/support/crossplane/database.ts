// Part of the STAND-IN for the providers: a cloud's database servers, which are one PostgreSQL of this machine. Its master user may create roles and
// databases and is no superuser, as those of RDS and Cloud SQL are not.
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import pg from 'pg';

export interface Master {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

export interface LabDatabase {
  /** The password is one for all: they are one server. */
  master(user: string): Promise<Master>;
  /** An address that answers on PostgreSQL's usual port, as the end of Private Service Connect does. */
  endpoint(): Promise<string>;
  stop(): Promise<void>;
}

export function openLabDatabase(adminUrl: string, password: string): LabDatabase {
  const { hostname, port } = new URL(adminUrl);
  const made = new Map<string, Promise<void>>();
  let endpoint: Promise<{ address: string; stop: () => Promise<void> }> | undefined;
  return {
    async master(user) {
      const making = made.get(user) ?? ensureMaster(adminUrl, user, password);
      made.set(user, making);
      await making;
      return { host: hostname, port: Number(port), user, password };
    },
    endpoint: async () => (await (endpoint ??= forward(hostname, Number(port)))).address,
    async stop() {
      await (await endpoint)?.stop();
    },
  };
}

async function ensureMaster(adminUrl: string, user: string, password: string): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  try {
    const found = await admin.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [user]);
    const name = pg.escapeIdentifier(user);
    await admin.query(
      `${found.rowCount === 1 ? 'ALTER' : 'CREATE'} ROLE ${name} LOGIN CREATEDB CREATEROLE PASSWORD ${pg.escapeLiteral(password)}`,
    );
    const base = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [user]);
    if (base.rowCount === 0) await admin.query(`CREATE DATABASE ${name} OWNER ${name}`);
  } finally {
    await admin.end();
  }
}

async function forward(host: string, port: number): Promise<{ address: string; stop: () => Promise<void> }> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((near) => {
    const far = connect(port, host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.on('error', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  // Away from the lab's addresses, and from those of another test on this machine.
  const address = `127.9.${process.pid % 250}.${(process.pid >> 8) % 250}`;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(5432, address, resolve);
  });
  return {
    address: (server.address() as AddressInfo).address,
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
