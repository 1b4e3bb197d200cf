// A workload with a program, a user and a pid of its own that needs nothing of this checkout: it hands on, byte for byte, what comes over a socket of
// its own to the agent's. Whoever calls through it is to the agent that process.
import { spawn } from 'node:child_process';
import { chmod, chown, copyFile, link, mkdir } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect } from '../../runtime/rpc/client.ts';

const relay = `
  const net = require('node:net');
  const [own, agent] = process.argv.slice(1);
  net.createServer((near) => {
    const far = net.connect(agent);
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
  }).listen(own, () => console.log('ready'));
`;

export interface RelayOptions {
  /** For the program and the socket; other users must be able to pass through it. */
  readonly directory: string;
  /** Of the program. */
  readonly name: string;
  readonly agentSocketPath: string;
  /** Needs root, where it is not our own. */
  readonly uid?: number;
}

export async function startRelay({ directory, name, agentSocketPath, uid }: RelayOptions) {
  const place = join(directory, `${name}-${uid ?? 'self'}`);
  await mkdir(place, { recursive: true });
  await chmod(place, 0o755);
  if (uid !== undefined) await chown(place, uid, uid);
  const program = join(directory, name);
  await link(process.execPath, program).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    return copyFile(process.execPath, program); // on another file system
  });
  const socketPath = join(place, 'relay.sock');
  const child = spawn(program, ['-e', relay, socketPath, agentSocketPath], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const ended = once(child, 'exit');
  await Promise.race([
    once(child.stdout, 'data'),
    ended.then(([code]) => Promise.reject(new Error(`${name} ended with ${String(code)}`))),
  ]);
  const channel = connect({ unixPath: socketPath });
  return {
    pid: child.pid!,
    program,
    /** To the agent, as this process. */
    channel,
    async close(): Promise<void> {
      channel.close();
      child.kill('SIGKILL');
      await ended;
    },
  };
}

export type Relay = Awaited<ReturnType<typeof startRelay>>;
