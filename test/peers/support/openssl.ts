// What openssl says of an X.509-SVID's chain.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { certificatesFromPem, certificatesToPem } from '../../../runtime/pki/pem.ts';
import { run } from './processes.ts';

/** `OK`, or its reason; `chain` is PEM, leaf first, and only `bundle` is trusted. */
export async function opensslVerify(
  directory: string,
  { bundle, chain }: { bundle: string; chain: string },
): Promise<string> {
  const own = mkdtempSync(join(directory, 'openssl-'));
  const write = (name: string, pem: string): string => {
    writeFileSync(join(own, name), pem);
    return join(own, name);
  };
  const [leaf, ...intermediates] = certificatesFromPem(chain);
  const leafPath = write('leaf.pem', certificatesToPem(leaf === undefined ? [] : [leaf]));
  const trusted = ['-no-CApath', '-no-CAstore', '-CAfile', write('root.pem', bundle)];
  const untrusted = ['-untrusted', write('intermediates.pem', certificatesToPem(intermediates))];
  const { code, stdout, stderr } = await run('openssl', ['verify', '-x509_strict', ...trusted, ...untrusted, leafPath]);
  return code === 0 && stdout === `${leafPath}: OK\n` ? 'OK' : stderr;
}
