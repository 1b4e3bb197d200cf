// `npm run pack`: makes the archive of the runtime that boot scripts fetch, and prints where it is and its digest.
import { fileURLToPath } from 'node:url';
import { ensureArtifact } from './pack/artifact.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const artifact = ensureArtifact(root, `${root}/.espalier/artifact`);
process.stdout.write(`${artifact.file}\nsha256:${artifact.sha256}\n`);
