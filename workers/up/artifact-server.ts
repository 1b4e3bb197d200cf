// Serves the runtime's archives on loopback, as an object store would for real machines: the newest, and those that runs which began with an
// older checkout still name. Whoever fetches one checks its digest.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname } from 'node:path';
import { findArtifact } from '../pack/artifact.ts';
import type { ArtifactFile } from '../pack/artifact.ts';

export interface ArtifactServer {
  readonly url: string;
  close(): void;
}

export async function serveArtifact({ file: newest, sha256 }: ArtifactFile, port: number): Promise<ArtifactServer> {
  const directory = dirname(newest);
  const server = createServer((request, response) => {
    const wanted = /^\/espalier-([0-9a-f]{64})\.tar\.gz$/.exec(request.url ?? '')?.[1];
    const file = wanted === undefined || request.method !== 'GET' ? undefined : findArtifact(directory, wanted);
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'application/gzip', 'content-length': statSync(file).size });
    createReadStream(file)
      .on('error', () => response.destroy())
      .pipe(response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${port}/espalier-${sha256}.tar.gz`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
