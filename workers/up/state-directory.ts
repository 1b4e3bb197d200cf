// Where `up` keeps everything: `.espalier/` in the checkout, and a short directory for sockets, whose paths may have 107 bytes on Linux.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

export interface StateDirectory {
  readonly root: string;
  /** For sockets: short, ours alone. */
  readonly run: string;
  path(...parts: string[]): string;
  /** A free port, the same one at every start: addresses are written into secrets and boot scripts. */
  port(name: string, preferred?: number): Promise<number>;
}

const portsSchema = z.record(z.string(), z.number().int());

export function openStateDirectory(place: string): StateDirectory {
  mkdirSync(place, { recursive: true });
  // Programs are attested by the path that the kernel knows, in which no symbolic link is left.
  const root = realpathSync(place);
  const path = (...parts: string[]) => join(root, ...parts);
  const portsFile = path('ports.json');
  const ports = existsSync(portsFile) ? portsSchema.parse(JSON.parse(readFileSync(portsFile, 'utf8'))) : {};

  return {
    root,
    run: openRunDirectory(root),
    path,
    async port(name, preferred) {
      const known = ports[name];
      if (known !== undefined) return known;
      const chosen = preferred !== undefined && (await isFree(preferred)) ? preferred : await freePort();
      ports[name] = chosen;
      writeFileSync(`${portsFile}.new`, JSON.stringify(ports));
      renameSync(`${portsFile}.new`, portsFile);
      return chosen;
    },
  };
}

/** One per state directory; refused when another user made it first. */
function openRunDirectory(root: string): string {
  const digest = createHash('sha256').update(root).digest('hex').slice(0, 8);
  const run = join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), `espalier-${digest}`);
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const { uid } = lstatSync(run);
  if (uid !== process.getuid?.()) throw new Error(`${run} belongs to user ${uid}, not to us`);
  chmodSync(run, 0o700);
  return run;
}

function isFree(port: number): Promise<boolean> {
  return listenOnce(port).then(
    () => true,
    () => false,
  );
}

function freePort(): Promise<number> {
  return listenOnce(0);
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const { port: actual } = server.address() as AddressInfo;
      server.close(() => resolve(actual));
    });
  });
}
