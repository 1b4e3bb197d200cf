// `x509 mint`: an X509-SVID for a key that is made here and never leaves this process but to the user.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { createCsr } from '../../pki/csr.ts';
import { generateKeyPairSync } from '../../pki/key-type.ts';
import { certificatesToPem, encodePem } from '../../pki/pem.ts';
import { signerOf } from '../../pki/signer.ts';
import { createClient } from '../../rpc/client.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
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
  async run({ flags: { spiffeID, ttl, dns, write }, channel, terminal, print }) {
    if (spiffeID === '') throw new CommandError('spiffeID must be specified');
    const spiffeId = parseSpiffeId(spiffeID);
    const { privateKey } = generateKeyPairSync('ec-p256');
    const csr = createCsr({ signer: signerOf(privateKey), spiffeId, dnsNames: dns });
    const { svid } = await unable('mint SVID', () =>
      createClient(SVIDService, channel).mintX509Svid({ csr, ttl: Math.ceil(ttl / 1000) }),
    );
    if (svid === undefined || svid.certChain.length === 0) throw new CommandError('server response missing SVID chain');
    const bundle = await unable('get bundle', () =>
      createClient(BundleService, channel).getBundle({ outputMask: undefined }),
    );
    if (bundle.x509Authorities.length === 0) throw new CommandError('server response missing X509 Authorities');
    warnIfCapped(svid.expiresAt, ttl, terminal);

    const key = privateKey.export({ format: 'der', type: 'pkcs8' });
    const minted = {
      x509Svid: svid.certChain,
      privateKey: new Uint8Array(key),
      rootCas: bundle.x509Authorities.map(({ asn1 }) => asn1),
    };
    if (write === '') print(minted, () => terminal.out(formatMinted(minted)));
    else writeMinted(write, minted, terminal);
  },
});

interface Minted {
  readonly x509Svid: readonly Uint8Array[];
  readonly privateKey: Uint8Array;
  readonly rootCas: readonly Uint8Array[];
}

function formatMinted({ x509Svid, privateKey, rootCas }: Minted): string {
  const svid = `X509-SVID:\n${certificatesToPem(x509Svid)}\n`;
  const key = `Private key:\n${encodePem('PRIVATE KEY', privateKey)}\n`;
  return `${svid}${key}Root CAs:\n${certificatesToPem(rootCas)}\n`;
}

function writeMinted(directory: string, { x509Svid, privateKey, rootCas }: Minted, terminal: Terminal): void {
  mkdirSync(directory, { recursive: true });
  const files: [string, string, string, number][] = [
    ['X509-SVID', 'svid.pem', certificatesToPem(x509Svid), 0o644],
    ['Private key', 'key.pem', encodePem('PRIVATE KEY', privateKey), 0o600],
    ['Root CAs', 'bundle.pem', certificatesToPem(rootCas), 0o644],
  ];
  for (const [what, name, pem, mode] of files) {
    const path = join(directory, name);
    writeFileSync(path, pem, { mode });
    chmodSync(path, mode);
    terminal.out(`${what} written to ${path}\n`);
  }
}

function warnIfCapped(expiresAt: number, ttl: number, terminal: Terminal): void {
  if (expiresAt * 1000 - Date.now() >= ttl - 1000) return;
  const end = new Date(expiresAt * 1000).toISOString().replace('.000Z', 'Z');
  terminal.err(`X509-SVID lifetime was capped shorter than specified ttl; expires "${end}"\n`);
}

async function unable<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new CommandError(`unable to ${what}`, { cause });
  }
}
