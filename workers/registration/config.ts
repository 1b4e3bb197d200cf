// What `espalier registration` is told, from one YAML file: parsed once, whole, with every fault at its place, or the process does not start.
import { z } from 'zod';
import { defaultParentIdTemplate } from '../../activities/registration/custom-resources/render-pod-entry.ts';
import { parsedBy, templateOver } from '../../activities/registration/custom-resources/read-spec.ts';
import { sampleNodeData } from '../../activities/registration/custom-resources/template-data.ts';
import { sampleObjectData } from '../../activities/registration/objects/render-objects.ts';
import { parseTemplate } from '../../activities/registration/template/template.ts';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { createSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { TrustDomain } from '../../runtime/spiffe/trust-domain.ts';

/** One segment of a path, as agents' IDs have it. */
const clusterName = z.string().regex(/^[A-Za-z0-9._-]+$/, 'is not letters, digits, dots, dashes and underscores');
const label = z.string().regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'is no name of a namespace');
const trustDomain = z.string().transform(parsedBy((text: string) => TrustDomain.fromName(text).name));
const duration = (least: number) =>
  z.string().transform(
    parsedBy((text: string) => {
      const ms = parseDuration(text);
      if (ms < least) throw new Error(`${text} is too short`);
      return ms;
    }),
  );
const ttl = duration(1000).transform((ms) => Math.trunc(ms / 1000));

const regularExpression = z.string().transform(parsedBy((text: string) => new RegExp(text)));

/** `/ns/shop`: everything below it, and itself. Not everything there is, and nothing of SPIRE's or of the aliases of nodes. */
const idPrefix = z.string().transform(
  parsedBy((text: string) => {
    const { path } = createSpiffeId(TrustDomain.fromName('any'), text);
    if (path === '') throw new Error('would be every ID');
    if (/^\/(spire|espalier)(\/|$)/.test(path)) throw new Error(`${path} is not for workloads`);
    return path;
  }),
);

const namespace = z
  .strictObject({
    name: label,
    template: z.string().default('kubernetes'),
    templates: z.array(z.string()).default([]),
    idPrefixes: z.array(idPrefix).optional(),
    dnsNames: z.array(z.string().regex(/^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$/, 'is no DNS name')).default([]),
    federatesWith: z.array(trustDomain).default([]),
    values: z.record(z.string(), z.string()).default({}),
    x509SvidTtl: ttl.default(0),
    jwtSvidTtl: ttl.default(0),
  })
  .transform(({ name, idPrefixes, ...rest }) => ({
    namespace: name,
    idPrefixes: idPrefixes ?? [`/ns/${name}`],
    ...rest,
  }));

const cluster = {
  name: clusterName,
  /** A file; the pod that the process runs in where there is none. */
  kubeconfig: z.string().optional(),
  clusterDomain: z.string().default(''),
};

const ofCustomResources = z.strictObject({
  ...cluster,
  mode: z.literal('crds'),
  className: z.string().default(''),
  watchClassless: z.boolean().default(false),
  ignoreNamespaces: z.array(regularExpression).default([/kube-system/, /kube-public/, /spire-system/]),
  parentIdTemplate: templateOver(sampleNodeData).default(parseTemplate(defaultParentIdTemplate, sampleNodeData)),
  takeOver: z.strictObject({ entryIdPrefix: z.string().default('') }).optional(),
});

const ofObjects = z.strictObject({
  ...cluster,
  mode: z.literal('objects'),
  namespaces: z.array(namespace).min(1, 'names no namespace'),
});

const server = z.union([
  z.strictObject({ socket: z.string() }),
  z.strictObject({ address: z.string(), workloadApiSocket: z.string() }),
]);

const guard = z.strictObject({
  share: z
    .string()
    .regex(/^([0-9]|[1-9][0-9]|100)%$/, 'is no part of all, as 50%')
    .transform((text) => Number(text.slice(0, -1)) / 100)
    .default(0.5),
  always: z.number().int().min(0).default(10),
});

const builtInTemplate = '/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}';

const schema = z
  .strictObject({
    trustDomain,
    server,
    entryIdPrefix: z
      .string()
      .regex(/^[A-Za-z0-9_-]+$/, 'is not letters, digits, dashes and underscores')
      // The control plane knows its own entries by that prefix, and removes those that its specification does not want.
      .refine((prefix) => prefix !== 'espalier', 'is that of the control plane')
      .default('registration'),
    dryRun: z.boolean().default(false),
    relistInterval: duration(1000).default(30_000),
    /** A watch that says nothing for so long is dead: the API server says something each minute. */
    watchSilence: duration(1000).default(90_000),
    deletionGuard: guard.prefault({}),
    /** Where the Lease of several replicas is, and the record of the relationships that were made. */
    home: z
      .strictObject({ cluster: clusterName, namespace: label, name: z.string().default('espalier-registration') })
      .optional(),
    health: z
      .string()
      .regex(/^(\[[0-9A-Fa-f:.]+\]|[^:]+):[0-9]{1,5}$/, 'is no address and port')
      .optional(),
    templates: z.record(z.string(), templateOver(sampleObjectData)).default({}),
    clusters: z.array(z.discriminatedUnion('mode', [ofCustomResources, ofObjects])).min(1, 'names no cluster'),
  })
  .transform(({ templates, ...rest }) => ({
    ...rest,
    templates: new Map([
      ['kubernetes', parseTemplate(builtInTemplate, sampleObjectData)],
      ...Object.entries(templates),
    ]),
  }))
  .superRefine((config, context) => {
    for (const [path, message] of contradictions(config)) context.addIssue({ code: 'custom', path, message });
  });

interface Named {
  readonly home?: { readonly cluster: string } | undefined;
  readonly templates: ReadonlyMap<string, unknown>;
  readonly clusters: readonly (
    | { readonly mode: 'crds'; readonly name: string }
    | {
        readonly mode: 'objects';
        readonly name: string;
        readonly namespaces: readonly {
          readonly namespace: string;
          readonly template: string;
          readonly templates: readonly string[];
        }[];
      }
  )[];
}

function contradictions({ home, templates, clusters }: Named): [(string | number)[], string][] {
  const found: [(string | number)[], string][] = [];
  for (const [at, { name }] of clusters.entries())
    if (clusters.findIndex((one) => one.name === name) < at)
      found.push([['clusters', at, 'name'], `${name} is there twice`]);
  if (home !== undefined && !clusters.some(({ name }) => name === home.cluster))
    found.push([['home', 'cluster'], `${home.cluster} is none of the clusters`]);
  for (const [at, one] of clusters.entries()) {
    if (one.mode !== 'objects') continue;
    for (const [place, { namespace: name, template, templates: others }] of one.namespaces.entries()) {
      const path = ['clusters', at, 'namespaces', place];
      if (one.namespaces.findIndex((other) => other.namespace === name) < place)
        found.push([[...path, 'name'], `${name} is there twice`]);
      for (const wanted of [template, ...others])
        if (!templates.has(wanted))
          found.push([[...path, 'template'], `template ${JSON.stringify(wanted)} is not there`]);
    }
  }
  return found;
}

export type RegistrationConfig = z.output<typeof schema>;
export type ClusterConfig = RegistrationConfig['clusters'][number];

/** Throws with every fault, each with its key. */
export function parseRegistrationConfig(document: unknown): RegistrationConfig {
  const parsed = schema.safeParse(document);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'file'}: ${message}`);
  throw new Error(`the configuration has ${faults.length} faults: ${faults.join('; ')}`);
}
