// Reads a trust domain's specification from its YAML file, with every fault at its place before anything is started.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { parseTrustDomainSpec } from '../../activities/spec/check-spec.ts';
import type { TrustDomainSpec } from '../../activities/spec/trust-domain-spec.ts';

export function loadSpec(file: string): TrustDomainSpec {
  return parseTrustDomainSpec(parse(readFileSync(file, 'utf8')));
}
