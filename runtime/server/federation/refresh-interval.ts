// How long to wait until a bundle is fetched again: as its trust domain wishes, within reason (SPIFFE Trust Domain and Bundle §4.1.2).
import { parseCertificate } from '../../pki/certificate.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';

export const shortestHintMs = 60_000;
/** Where the bundle has no wish; a tenth of a root's life would often be months. */
const longestWithoutHintMs = 5 * 60_000;
const longestMs = 24 * 3_600_000;
/** Several attempts within a hint, so that one that fails is made up for. */
const attemptsPerHint = 4;
const fractionOfLifetime = 10;

/** Of no bundle: soon again, as it is what an operator has just asked for. */
export function refreshIntervalMs(bundle: TrustBundle | undefined): number {
  if (bundle === undefined) return shortestHintMs;
  const { refreshHintSeconds } = bundle;
  if (refreshHintSeconds > 0) return attemptIn(refreshHintSeconds * 1000, longestMs);
  return attemptIn(shortestLifetimeMs(bundle) / fractionOfLifetime, longestWithoutHintMs);
}

function attemptIn(hintMs: number, longest: number): number {
  return Math.min(Math.max(hintMs, shortestHintMs) / attemptsPerHint, longest);
}

function shortestLifetimeMs({ x509Authorities }: TrustBundle): number {
  const lifetimes = x509Authorities.map(({ asn1 }) => {
    const { notBefore, notAfter } = parseCertificate(asn1);
    return notAfter - notBefore;
  });
  return lifetimes.length === 0 ? 0 : Math.min(...lifetimes);
}
