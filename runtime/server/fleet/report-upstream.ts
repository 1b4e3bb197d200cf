// A server below another one tells it what it holds of the trust domain: the bundle as it serves it, and what its own CA hangs on.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReportRequest } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Logger } from '../../log.ts';
import { createBell } from '../../rpc/bell.ts';
import { keepReporting } from '../../rpc/keep-reporting.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import { replaceFile } from '../keys/replace-file.ts';
import { x509AuthorityId } from '../store/bundle-changes.ts';
import type { UpstreamAuthority } from '../upstream/upstream-authority.ts';
import { version } from '../version.ts';

export interface ReportUpstreamOptions {
  readonly upstream: UpstreamAuthority | undefined;
  readonly authority: Pick<CertificateAuthority, 'bundle' | 'onBundle' | 'x509Authority'>;
  readonly dataDir: string;
  readonly clock: () => number;
  readonly log: Logger;
}

/** Of another CA nobody tells. */
const lookMs = 5_000;
const instanceFile = 'fleet-instance';

/** Returns the way to stop. */
export async function startReportingUpstream(options: ReportUpstreamOptions): Promise<() => void> {
  const { upstream, authority, dataDir, clock, log } = options;
  if (upstream?.report === undefined) return () => undefined;
  const { report } = upstream;
  const instance = await ensureInstance(dataDir);
  const stopping = new AbortController();
  const changed = createBell();
  const unlisten = authority.onBundle(() => changed.ring());
  void keepReporting(
    {
      compose: () => composeReport(authority, instance, clock()),
      contentOf: (composed) => JSON.stringify({ ...composed, sentAtMs: 0 }),
      isUnsettled: () => false,
      send: report,
      onFailure: (error) => log.debug({ err: error }, 'cannot report to the upstream'),
      changed,
      lookMs,
      random: Math.random,
      clock,
    },
    stopping.signal,
  );
  return () => {
    unlisten();
    stopping.abort();
  };
}

function composeReport(authority: ReportUpstreamOptions['authority'], instance: string, now: number): ReportRequest {
  const { x509Authorities, jwtAuthorities } = authority.bundle();
  const { upstreamAuthorityId, expiresAt } = authority.x509Authority();
  const notAfter = Math.floor(expiresAt / 1000);
  return {
    instance,
    version,
    sentAtMs: now,
    x509Authorities: x509Authorities.map((held) => ({
      authorityId: x509AuthorityId(held),
      tainted: held.tainted === true,
    })),
    jwtAuthorities: jwtAuthorities.map(({ keyId, tainted = false }) => ({ authorityId: keyId, tainted })),
    own: {
      x509AuthorityIds: upstreamAuthorityId === undefined ? [] : [upstreamAuthorityId],
      count: 1,
      earliestNotAfter: notAfter,
      latestNotAfter: notAfter,
    },
    issued: [],
    streams: 0,
    streamsLagging: 0,
  };
}

/** The same after a restart, so that the server is not taken for a second one while the first is missed. */
async function ensureInstance(dataDir: string): Promise<string> {
  const path = join(dataDir, instanceFile);
  try {
    const kept = (await readFile(path, 'utf8')).trim();
    if (kept !== '') return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const instance = randomUUID();
  await replaceFile(path, `${instance}\n`, 0o600);
  return instance;
}
