// How long a workload that could have the JWT-SVID at hand waits for a fresh one.
import type { HclReader } from '../../hcl/reader.ts';
import { jwtSvidCallMs } from '../cache/jwt-svids.ts';

const shortestMs = 5_000;

export function readCacheHitTimeout(experimental: HclReader | undefined): number {
  const key = 'jwt_svid_cache_hit_timeout';
  if (experimental?.optionalString(key) === '') return jwtSvidCallMs;
  const timeout = experimental?.optionalDuration(key) ?? jwtSvidCallMs;
  if (timeout < shortestMs) experimental?.fault(key, 'must be greater than 5s');
  if (experimental?.has(key) === true && timeout >= jwtSvidCallMs) experimental.fault(key, 'must be less than 30s');
  return timeout;
}
