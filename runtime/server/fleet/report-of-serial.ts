// What an agent shows that names the bundle which it serves by its sequence number, SPIRE's way: the authorities of that bundle. Sequence numbers belong
// to one database, so the number says something only where it is the present one here.
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { authoritiesOf } from './note-authorities.ts';
import type { FleetReport } from '../store/fleet-records.ts';

/** Undefined where the number says nothing: 0 is how agents leave it out. */
export function reportOfSerial(version: string, serial: number, bundle: TrustBundle): FleetReport | undefined {
  if (serial === 0 || serial !== bundle.sequenceNumber) return undefined;
  const held = authoritiesOf(bundle).map(({ kind, ...authority }) => ({ kind, authority }));
  return {
    version,
    x509: held.filter(({ kind }) => kind === 'x509').map(({ authority }) => authority),
    jwt: held.filter(({ kind }) => kind === 'jwt').map(({ authority }) => authority),
    issued: [],
    streams: 0,
    streamsLagging: 0,
    clockSkewMs: 0,
  };
}
