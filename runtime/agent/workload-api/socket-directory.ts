// The directory of the socket for workloads, which they have to be able to pass: it is made before the umask keeps others out.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from '../../log.ts';

export async function prepareSocketDirectory(socketPath: string | undefined, log: Logger): Promise<void> {
  if (socketPath === undefined) return;
  const dir = dirname(socketPath);
  const made = await mkdir(dir, { recursive: true, mode: 0o755 });
  if (made !== undefined) log.info({ dir }, 'Creating spire agent UDS directory');
}
