// Which clouds a kind can be in, what their regions look like, and what each asks for where the others do without.
import { z } from 'zod';
import { segmentSchema } from '../../activities/spec/trust-domain-spec.ts';

/** Of a trust domain, whose nodes have an attestor in each of these. */
export const cloud = segmentSchema.shape.cloud;
export const region = segmentSchema.shape.region;

/** Of kinds that can be in Azure too, where no attestor of ours is yet. */
export const anyCloud = z.enum([...cloud.options, 'azure']);
export const anyRegion = z
  .string()
  .max(64)
  .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);

type AnyCloud = z.output<typeof anyCloud>;

/** A field that is not there, and is needed; regions of Azure have no dash, and those of the others have one. */
export function needs(fields: Partial<Readonly<Record<AnyCloud, readonly string[]>>>) {
  return (spec: Readonly<Record<string, unknown>> & { readonly cloud: AnyCloud }, context: z.RefinementCtx): void => {
    const refuse = (field: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [field], message });
    };
    const { region: place } = spec;
    if (typeof place === 'string' && place.includes('-') === (spec.cloud === 'azure'))
      refuse('region', `${place} is no region of ${spec.cloud}`);
    for (const field of fields[spec.cloud] ?? [])
      if (spec[field] === undefined) refuse(field, `is needed in ${spec.cloud}`);
  };
}
