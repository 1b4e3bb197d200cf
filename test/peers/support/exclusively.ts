// One process at a time makes a thing that several test files want at once: the kernel's lock on a file, held by Debian's flock, which ends with us.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** Waits as long as another process holds the lock file, which stays behind. */
export async function exclusively<T>(lockFile: string, act: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(lockFile), { recursive: true });
  // Its input is the leash: it closes when this process ends, however it ends.
  const holder = spawn('flock', [lockFile, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await Promise.race([
      once(holder.stdout, 'data'),
      once(holder, 'exit').then(([code]) => {
        throw new Error(`flock ended with ${String(code)} before it held ${lockFile}`);
      }),
    ]);
    return await act();
  } finally {
    holder.stdin.end();
  }
}
