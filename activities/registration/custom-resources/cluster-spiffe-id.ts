// ClusterSPIFFEID (spire.spiffe.io/v1alpha1): which pods get which SPIFFE ID.
import { z } from 'zod';
import type { Template } from '../template/template.ts';
import { flag, labelSelector, readSpec, templateOver, text, trustDomains, ttl } from './read-spec.ts';
import { samplePodData } from './template-data.ts';

const template = templateOver(samplePodData);
const templates = z
  .array(template)
  .nullish()
  .transform((list): readonly Template[] => list ?? []);

const schema = z
  .object({
    spiffeIDTemplate: template,
    podSelector: labelSelector,
    namespaceSelector: labelSelector,
    dnsNameTemplates: templates,
    workloadSelectorTemplates: templates,
    ttl,
    jwtTtl: ttl,
    federatesWith: trustDomains,
    admin: flag,
    downstream: flag,
    autoPopulateDNSNames: flag,
    fallback: flag,
    hint: text,
    className: text,
  })
  .readonly();

export type ClusterSpiffeIdSpec = z.output<typeof schema>;

/** Throws a SpecError with every fault. */
export function parseClusterSpiffeId(spec: unknown): ClusterSpiffeIdSpec {
  return readSpec(schema, spec);
}
