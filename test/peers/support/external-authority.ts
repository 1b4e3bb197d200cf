// An organisation's own certificate authority, as openssl makes it: an RSA root that signs once, and below it the CA that it lends to a trust domain.
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { output } from './processes.ts';

/** Leaves `certificate.pem`, `key.pem` and `bundle.pem`; the root's own key is in `directory/above`. */
export async function makeExternalAuthority(directory: string): Promise<void> {
  const above = join(directory, 'above');
  mkdirSync(above, { recursive: true, mode: 0o700 });
  const at = (name: string): string => join(above, name);
  const openssl = (...words: string[]) => output('openssl', words);
  const extensions =
    'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n';
  writeFileSync(at('ca.cnf'), extensions);
  const subject = (name: string) => ['-subj', `/O=Enterprise/CN=${name}`];
  await openssl(
    ...['req', '-x509', '-newkey', 'rsa:3072', '-nodes', '-days', '3650', ...subject('Root')],
    ...['-keyout', at('root.key'), '-out', at('root.pem')],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  );
  await openssl(
    ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-nodes', ...subject('Issuing')],
    ...['-keyout', at('issuing.key'), '-out', at('issuing.csr')],
  );
  await openssl(
    ...['x509', '-req', '-in', at('issuing.csr'), '-days', '1825', '-CA', at('root.pem'), '-CAkey', at('root.key')],
    ...['-CAcreateserial', '-extfile', at('ca.cnf'), '-out', at('issuing.pem')],
  );
  copyFileSync(at('issuing.pem'), join(directory, 'certificate.pem'));
  copyFileSync(at('root.pem'), join(directory, 'bundle.pem'));
  copyFileSync(at('issuing.key'), join(directory, 'key.pem'));
  chmodSync(join(directory, 'key.pem'), 0o600);
}
