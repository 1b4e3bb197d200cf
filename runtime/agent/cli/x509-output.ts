// How `api fetch x509` and `api watch` show what they received, and the files that `-write` makes of it.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { X509SVIDResponse } from '../../../proto/gen/spiffe/workload/workload.ts';
import { parseCertificateChain } from '../../pki/certificate.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { certificatesToPem, encodePem } from '../../pki/pem.ts';
import { verifyX509Svid } from '../../pki/x509-svid.ts';
import { formatDuration } from '../../spiffe/duration.ts';
import { writePrivateFile } from '../state/private-file.ts';
import { CommandError } from './terminal.ts';
import type { Terminal } from './terminal.ts';

export interface ReceivedSvid {
  readonly spiffeId: string;
  readonly hint: string;
  readonly certificates: readonly Certificate[];
  /** DER, PKCS#8. */
  readonly privateKey: Uint8Array;
  readonly bundle: readonly Certificate[];
}

export interface ReceivedSvids {
  readonly svids: readonly ReceivedSvid[];
  /** By trust domain ID, sorted. */
  readonly federatedBundles: readonly (readonly [string, readonly Certificate[]])[];
}

/** Throws unless every SVID holds against the bundle that came with it: an agent's mistake is not to be written to files. */
export function parseResponse(response: X509SVIDResponse, now: number): ReceivedSvids {
  if (response.svids.length === 0) throw new CommandError('workload response contains no svids');
  const svids = response.svids.map(({ spiffeId, hint, x509Svid, x509SvidKey, bundle }) => ({
    spiffeId,
    hint,
    certificates: parseCertificateChain(x509Svid),
    privateKey: x509SvidKey,
    bundle: parseCertificateChain(bundle),
  }));
  for (const svid of svids) verify(svid, now);
  const federatedBundles = Object.entries(response.federatedBundles)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([trustDomain, der]) => [trustDomain, parseCertificateChain(der)] as const);
  return { svids, federatedBundles };
}

function verify({ spiffeId, certificates, bundle }: ReceivedSvid, now: number): void {
  try {
    const { id } = verifyX509Svid({ chain: certificates.map(({ der }) => der), roots: bundle, now });
    if (id.toString() !== spiffeId) throw new Error(`it is of ${id.toString()}`);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(`"${spiffeId}" SVID failed verification against bundle: ${reason}`, { cause });
  }
}

export function printSvids(terminal: Terminal, { svids, federatedBundles }: ReceivedSvids, afterMs: number): void {
  const lines = [`Received ${svids.length} svid${svids.length === 1 ? '' : 's'} after ${formatDuration(afterMs)}`];
  for (const svid of svids) {
    lines.push('', `SPIFFE ID:\t\t${svid.spiffeId}`);
    if (svid.hint !== '') lines.push(`Hint:\t\t\t${svid.hint}`);
    lines.push(
      ...svid.certificates.flatMap((certificate, i) => validity(i === 0 ? 'SVID' : `Intermediate #${i}`, certificate)),
    );
    lines.push(...svid.bundle.flatMap((certificate, i) => validity(`CA #${i + 1}`, certificate)));
    for (const [trustDomain, bundle] of federatedBundles) {
      lines.push(...bundle.flatMap((certificate, i) => validity(`[${trustDomain}] CA #${i + 1}`, certificate)));
    }
  }
  terminal.print([...lines, ''].join('\n'));
}

function validity(name: string, { notBefore, notAfter }: Certificate): string[] {
  return [`${name} Valid After:\t${goTime(notBefore)}`, `${name} Valid Until:\t${goTime(notAfter)}`];
}

/** `2026-01-31 10:00:00 +0000 UTC`, as Go prints a time. */
function goTime(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' +0000 UTC');
}

export async function writeSvids(
  terminal: Terminal,
  directory: string,
  { svids, federatedBundles }: ReceivedSvids,
): Promise<void> {
  const writePem = async (what: string, name: string, certificates: readonly Certificate[]) => {
    const path = join(directory, name);
    terminal.print(`Writing ${what} to file ${path}.`);
    await writeFile(path, certificatesToPem(certificates.map(({ der }) => der)));
  };
  for (const [i, svid] of svids.entries()) {
    await writePem(`SVID #${i}`, `svid.${i}.pem`, svid.certificates);
    const keyPath = join(directory, `svid.${i}.key`);
    terminal.print(`Writing key #${i} to file ${keyPath}.`);
    await writePrivateFile(keyPath, encodePem('PRIVATE KEY', svid.privateKey));
    await writePem(`bundle #${i}`, `bundle.${i}.pem`, svid.bundle);
    for (const [j, [trustDomain, bundle]] of federatedBundles.entries()) {
      await writePem(
        `federated bundle #${j} for trust domain ${trustDomain}`,
        `federated_bundle.${i}.${j}.pem`,
        bundle,
      );
    }
  }
}
