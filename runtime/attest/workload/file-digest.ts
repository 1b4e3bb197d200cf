// SHA-256 of programs, remembered by inode: a program is large, is asked for often and never changes while it runs.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { WorkloadAttestError } from './attestor.ts';

const remembered = 256;

export interface FileDigests {
  /** Hex. A limit of 0 is none. */
  sha256(path: string, sizeLimit: number): Promise<string>;
}

export function createFileDigests(): FileDigests {
  const known = new Map<string, Promise<string>>();
  return {
    async sha256(path, sizeLimit) {
      const file = await open(path).catch((cause: unknown) => {
        throw new WorkloadAttestError('DIGEST', `program is not readable: ${path}`, { cause });
      });
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
        if (sizeLimit > 0 && size > sizeLimit) {
          throw new WorkloadAttestError('DIGEST', `program exceeds the size limit (${size} > ${sizeLimit}): ${path}`);
        }
        // The change time is the kernel's alone: nobody can write to the file and set it back.
        const version = [dev, ino, size, mtimeNs, ctimeNs].join('-');
        const digest = known.get(version) ?? digestOf(file);
        remember(known, version, digest);
        return await digest;
      } finally {
        await file.close();
      }
    },
  };
}

function remember(known: Map<string, Promise<string>>, version: string, digest: Promise<string>): void {
  known.delete(version);
  known.set(version, digest);
  digest.catch(() => known.delete(version));
  const [oldest] = known.keys();
  if (known.size > remembered && oldest !== undefined) known.delete(oldest);
}

async function digestOf(file: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  const buffer = new Uint8Array(1024 * 1024);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
  }
}
