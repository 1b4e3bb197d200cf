// How a custom resource's spec is read: whole, with every fault and its field. Fields that are not known here are refused by the API server's schema, or
// are newer than this program, and are passed over as the controller manager passes them over.
import { z } from 'zod';
import { parseDuration } from '../../../runtime/spiffe/duration.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { parseTemplate } from '../template/template.ts';
import type { Template } from '../template/template.ts';
import type { GoStruct } from '../template/value.ts';
import { createLabelSelector, labelSelectorSchema } from '../objects/label-selector.ts';

export class SpecError extends Error {
  /** Each with its field. */
  readonly faults: readonly { readonly field: string; readonly reason: string }[];

  constructor(faults: SpecError['faults']) {
    super(faults.map(({ field, reason }) => `${field}: ${reason}`).join('; '));
    this.name = 'SpecError';
    this.faults = faults;
  }
}

export function readSpec<T extends z.ZodType>(schema: T, spec: unknown): z.output<T> {
  const parsed = schema.safeParse(spec);
  if (parsed.success) return parsed.data;
  throw new SpecError(
    parsed.error.issues.map(({ path, message }) => ({ field: ['spec', ...path].join('.'), reason: message })),
  );
}

/** A zod transform whose refusal is the message of what it threw. */
export function parsedBy<I, O>(parse: (value: I) => O): (value: I, context: z.RefinementCtx) => O {
  return (value, context) => {
    try {
      return parse(value);
    } catch (cause) {
      context.addIssue({ code: 'custom', message: cause instanceof Error ? cause.message : String(cause) });
      return z.NEVER;
    }
  };
}

const longestTtl = 2 ** 31 - 1;

/** Go's form, to whole seconds, as the server keeps them. */
export const ttl = z
  .string()
  .transform(
    parsedBy((text: string) => {
      const seconds = Math.trunc(parseDuration(text) / 1000);
      if (seconds < 0 || seconds > longestTtl) throw new Error(`${text} is no time to live`);
      return seconds;
    }),
  )
  .nullish()
  .transform((seconds) => seconds ?? 0);

export const trustDomains = z
  .array(z.string().transform(parsedBy((text: string) => parseTrustDomain(text).name)))
  .nullish()
  .transform((names) => names ?? []);

export const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);

export const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

/** Without one, everything is selected. */
export const labelSelector = labelSelectorSchema
  .nullish()
  .transform(parsedBy((spec) => (spec === null || spec === undefined ? () => true : createLabelSelector(spec))));

export const templateOver = (sample: GoStruct) =>
  z
    .string()
    .min(1, 'is empty')
    .transform(parsedBy((value: string): Template => parseTemplate(value, sample)));
