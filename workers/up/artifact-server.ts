// Serves the runtime's archive on loopback, as an object store would for real machines. Whoever fetches it checks its digest.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { ArtifactFile } from '../pack/artifact.ts';

export interface ArtifactServer {
  readonly url: string;
  close(): void;
}

export async function serveArtifact({ file, sha256 }: ArtifactFile, port: number): Promise<ArtifactServer> {
  const path = `/espalier-${sha256}.tar.gz`;
  const server = createServer((request, response) => {
    if (request.url !== path || request.method !== 'GET') {
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
    url: `http://127.0.0.1:${port}${path}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
