// Whether a holder has what the bundle has, as far as it is known, and by which kind of proof. Pure: the numbers come from the store.
import type { AuthorityKindName, AuthorityLife, FleetReport } from '../store/fleet-records.ts';

/** The authorities that count: those of the bundle, or one of them, and what became of those that are gone. */
export interface Wanted {
  readonly present: readonly WantedAuthority[];
  /** No longer in the bundle; the time is that of their removal. */
  readonly gone: readonly AuthorityLife[];
}

export interface WantedAuthority extends AuthorityLife {
  readonly tainted: boolean;
}

export interface Shortfall {
  readonly text: string;
  /** Epoch ms: when the bundle became what the holder does not have. */
  readonly since: number;
}

const names: Readonly<Record<AuthorityKindName, string>> = { x509: 'X.509', jwt: 'JWT' };

/** What a report leaves to be desired; nothing: it shows that all is there. */
export function shortfallsOf(report: FleetReport, { present, gone }: Wanted): Shortfall[] {
  const found: Shortfall[] = [];
  const held = {
    x509: new Map(report.x509.map((one) => [one.authorityId, one])),
    jwt: new Map(report.jwt.map((one) => [one.authorityId, one])),
  };
  for (const { kind, authorityId, tainted, publishedAt, taintedAt } of present) {
    const one = held[kind].get(authorityId);
    const name = `${names[kind]} authority ${authorityId}`;
    if (one === undefined) found.push({ text: `lacks ${name}`, since: publishedAt });
    if (one !== undefined && tainted && !one.tainted)
      found.push({ text: `does not know that ${name} is tainted`, since: taintedAt });
    if (tainted && kind === 'x509') found.push(...below(report, authorityId, taintedAt, 'tainted'));
  }
  for (const { kind, authorityId, revokedAt } of gone) {
    if (held[kind].has(authorityId))
      found.push({ text: `still has ${names[kind]} authority ${authorityId}`, since: revokedAt });
    if (kind === 'x509') found.push(...below(report, authorityId, revokedAt, 'revoked'));
  }
  return found;
}

/** What the holder shows or serves and nobody should accept any more. */
function below(report: FleetReport, authorityId: string, since: number, state: string): Shortfall[] {
  const hangs = ({ authorityIds }: { readonly authorityIds: readonly string[] }) => authorityIds.includes(authorityId);
  const count = report.issued.filter(hangs).reduce((sum, issued) => sum + issued.count, 0);
  const found: Shortfall[] = [];
  if (report.own !== undefined && hangs(report.own))
    found.push({ text: `its own certificate hangs on ${state} X.509 authority ${authorityId}`, since });
  if (count > 0)
    found.push({ text: `serves ${count} SVIDs that hang on ${state} X.509 authority ${authorityId}`, since });
  return found;
}

/**
 * Of a holder that says nothing, such as a plain SPIRE agent: what it may not have heard of and has not outlived. What hung on a tainted or revoked
 * authority has ended with the latest NotAfter signed under it; of a new authority it has heard when its present SVID was signed after it came.
 */
export function unprovenOf({ present, gone }: Wanted, svidSignedAt: number, now: number): Shortfall[] {
  const ended = ({ signedUntil }: AuthorityLife) => signedUntil * 1000 <= now;
  return [
    ...present
      .filter(({ tainted, publishedAt }) => !tainted && publishedAt > svidSignedAt)
      .map(unheard('came', 'publishedAt')),
    ...present.filter((one) => one.tainted && !ended(one)).map(unheard('was tainted', 'taintedAt')),
    ...gone.filter((one) => !ended(one)).map(unheard('was revoked', 'revokedAt')),
  ];
}

function unheard(what: string, time: 'publishedAt' | 'taintedAt' | 'revokedAt') {
  return (life: AuthorityLife): Shortfall => ({
    text: `has not said that it heard of ${names[life.kind]} authority ${life.authorityId}, which ${what}`,
    since: life[time],
  });
}
