// ClusterStaticEntry (spire.spiffe.io/v1alpha1): an entry word for word, for what no pod of the cluster is.
import { z } from 'zod';
import { parseSelector } from '../../../runtime/spiffe/selector.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { keyed } from '../entries/wanted-entry.ts';
import type { WantedEntry } from '../entries/wanted-entry.ts';
import { flag, parsedBy, readSpec, text, trustDomains, ttl } from './read-spec.ts';

const spiffeId = z.string().transform(parsedBy((value: string) => parseSpiffeId(value).toString()));

const schema = z
  .object({
    spiffeID: spiffeId,
    parentID: spiffeId,
    selectors: z
      .array(z.string().transform(parsedBy((value: string) => parseSelector(value))))
      .min(1, 'names no selector'),
    federatesWith: trustDomains,
    x509SVIDTTL: ttl,
    jwtSVIDTTL: ttl,
    dnsNames: z
      .array(z.string())
      .nullish()
      .transform((names) => names ?? []),
    hint: text,
    admin: flag,
    downstream: flag,
    storeSVID: flag,
    className: text,
  })
  .transform((spec): WantedEntry =>
    keyed({
      spiffeId: spec.spiffeID,
      parentId: spec.parentID,
      selectors: spec.selectors,
      x509SvidTtl: spec.x509SVIDTTL,
      jwtSvidTtl: spec.jwtSVIDTTL,
      federatesWith: spec.federatesWith,
      dnsNames: spec.dnsNames,
      admin: spec.admin,
      downstream: spec.downstream,
      storeSvid: spec.storeSVID,
      hint: spec.hint,
    }),
  );

/** Throws a SpecError with every fault. */
export function renderStaticEntry(spec: unknown): WantedEntry {
  return readSpec(schema, spec);
}
