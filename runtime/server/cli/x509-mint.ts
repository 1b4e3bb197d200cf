// `x509 mint`: an X509-SVID for a key that is made here and never leaves this process but to the user.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { createCsr } from '../../pki/csr.ts';
import { generateKeyPairSync } from '../../pki/key-type.ts';
import { certificatesToPem, encodePem } from '../../pki/pem.ts';
import { signerOf } from '../../pki/signer.ts';
import { createClient } from '../../rpc/client.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import { secondsOf } from './int32.ts';
import { warnIfCapped, writeOutput } from './minted.ts';
import { CommandError, serverCommand } from './server-command.ts';
import type { Terminal } from './terminal.ts';

export const x509Mint = serverCommand({
  name: 'x509 mint',
  synopsis: 'Mints an X509-SVID',
  flags: {
    spiffeID: { kind: 'string', default: '', help: 'SPIFFE ID of the X509-SVID' },
    ttl: { kind: 'duration', default: 0, help: 'TTL of the X509-SVID' },
    dns: { kind: 'list', help: 'DNS name that will be included in SVID. Can be used more than once.' },
    write: { kind: 'string', default: '', help: 'Directory to write output to instead of stdout' },
  },
  async run({ flags: { spiffeID, ttl, dns, write }, channel, terminal, printStruct }) {
    if (spiffeID === '') throw new CommandError('spiffeID must be specified');
    const spiffeId = parseSpiffeId(spiffeID);
    const seconds = secondsOf(ttl);
    const { privateKey } = generateKeyPairSync('ec-p256');
    const csr = createCsr({ signer: signerOf(privateKey), spiffeId, dnsNames: dns });
    const { svid } = await unable('mint SVID', () =>
      createClient(SVIDService, channel).mintX509Svid({ csr, ttl: seconds }),
    );
    if (svid === undefined || svid.certChain.length === 0) throw new CommandError('server response missing SVID chain');
    const bundle = await unable('get bundle', () =>
      createClient(BundleService, channel).getBundle({ outputMask: undefined }),
    );
    if (bundle.x509Authorities.length === 0) throw new CommandError('server response missing X509 Authorities');
    warnIfCapped('X509-SVID', svid.expiresAt, ttl, terminal);

    const key = privateKey.export({ format: 'der', type: 'pkcs8' });
    const minted = {
      x509_svid: svid.certChain,
      private_key: new Uint8Array(key),
      root_cas: bundle.x509Authorities.map(({ asn1 }) => asn1),
    };
    if (write === '') printStruct(minted, () => terminal.out(formatMinted(minted)));
    else writeMinted(write, minted, terminal);
  },
});

interface Minted {
  readonly x509_svid: readonly Uint8Array[];
  readonly private_key: Uint8Array;
  readonly root_cas: readonly Uint8Array[];
}

function formatMinted({ x509_svid: x509Svid, private_key: privateKey, root_cas: rootCas }: Minted): string {
  const svid = `X509-SVID:\n${certificatesToPem(x509Svid)}\n`;
  const key = `Private key:\n${encodePem('PRIVATE KEY', privateKey)}\n`;
  return `${svid}${key}Root CAs:\n${certificatesToPem(rootCas)}\n`;
}

function writeMinted(
  directory: string,
  { x509_svid: x509Svid, private_key: privateKey, root_cas: rootCas }: Minted,
  terminal: Terminal,
): void {
  mkdirSync(directory, { recursive: true });
  const files = [
    ['SVID', 'X509-SVID', 'svid.pem', certificatesToPem(x509Svid), 0o644],
    ['key', 'Private key', 'key.pem', encodePem('PRIVATE KEY', privateKey), 0o600],
    ['bundle', 'Root CAs', 'bundle.pem', certificatesToPem(rootCas), 0o644],
  ] as const;
  for (const [what, title, name, pem, mode] of files) {
    const path = join(directory, name);
    writeOutput(what, path, pem, mode);
    terminal.out(`${title} written to ${path}\n`);
  }
}

async function unable<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new CommandError(`unable to ${what}`, { cause });
  }
}
