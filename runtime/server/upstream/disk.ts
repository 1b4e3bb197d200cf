// UpstreamAuthority "disk": a CA of an organisation above ours, whose certificate and key lie in files. They are read anew for each CA that they sign.
import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../log.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { parseCsr } from '../../pki/csr.ts';
import { decodeName } from '../../pki/distinguished-name.ts';
import { issueDownstreamCa, notBeforeCushionMs } from '../../pki/issue.ts';
import { createSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { AuthorityError } from '../ca/authority.ts';
import { loadDiskCa } from './disk-ca.ts';
import type { DiskCa, DiskCaFiles } from './disk-ca.ts';
import type { UpstreamAuthority } from './upstream-authority.ts';

export interface DiskUpstreamOptions extends DiskCaFiles {
  readonly trustDomain: TrustDomain;
  readonly log: Logger;
  readonly clock: () => number;
  /** Between two looks at the files. */
  readonly pollMs?: number;
  /** Reads a file; the file system's where it is left out. */
  readonly read?: (path: string) => Promise<string>;
}

const defaultPollMs = 5_000;
/** SPIRE's, where no lifetime is asked for. */
const defaultTtlMs = 3_600_000;

/** Throws AuthorityError INVALID where the files do not hold. */
export async function openDiskUpstream(options: DiskUpstreamOptions): Promise<UpstreamAuthority> {
  const { trustDomain, log, clock, pollMs = defaultPollMs, read = (path: string) => readFile(path, 'utf8') } = options;
  const load = (): Promise<DiskCa> => loadDiskCa(options, { read, now: clock() });
  let current = await load();
  let failedWith = '';

  /** Files that are being replaced, or that do not hold any more, leave us with what was read before. */
  const reload = async (): Promise<DiskCa> => {
    try {
      current = await load();
      failedWith = '';
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== failedWith)
        log.warn({ err: error }, 'Upstream CA is not usable as it is on disk now, keeping the last one');
      failedWith = message;
    }
    return current;
  };

  return {
    name: 'disk',
    async mintX509Ca(csr, preferredTtlMs) {
      const ca = await reload();
      return { chain: [sign(ca, csr, preferredTtlMs), ...ca.chain], roots: ca.roots.map(({ der }) => ({ asn1: der })) };
    },
    async watchBundle(listener, signal) {
      let told = '';
      const isOver = (): boolean => signal.aborted;
      while (!isOver()) {
        const { roots } = await reload();
        const seen = digestOf(roots);
        try {
          if (seen !== told)
            await listener({ x509Authorities: roots.map(({ der }) => ({ asn1: der })), jwtAuthorities: [] });
          told = seen;
        } catch (error) {
          if (!isOver()) log.warn({ err: error }, 'cannot take over the upstream bundle, trying again');
        }
        await sleep(pollMs, undefined, { signal }).catch(() => undefined); // Aborted: the loop sees it.
      }
    },
    close: () => undefined,
  };

  function sign({ certificate, signer }: DiskCa, csr: Uint8Array, preferredTtlMs: number): Certificate {
    const now = clock();
    if (certificate.notAfter <= now) {
      const ended = new Date(certificate.notAfter).toISOString();
      throw new AuthorityError('UPSTREAM_UNAVAILABLE', `unable to sign CSR: the upstream CA expired at ${ended}`);
    }
    try {
      const { publicKey, subject, uris } = parseCsr(csr);
      if (uris.length !== 1 || uris[0] !== trustDomain.idString())
        throw new Error(`CSR is for ${uris.join(', ') || 'nobody'}, want ${trustDomain.idString()}`);
      return issueDownstreamCa({
        issuer: { certificate, signer },
        publicKey,
        spiffeId: createSpiffeId(trustDomain, ''),
        subject: decodeName(subject),
        notBefore: now - notBeforeCushionMs,
        notAfter: Math.min(now + (preferredTtlMs > 0 ? preferredTtlMs : defaultTtlMs), certificate.notAfter),
      });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new AuthorityError('INVALID', `unable to sign CSR: ${why}`, { cause });
    }
  }
}

function digestOf(roots: readonly Certificate[]): string {
  const hash = createHash('sha256');
  for (const { der } of roots) hash.update(der);
  return hash.digest('hex');
}
