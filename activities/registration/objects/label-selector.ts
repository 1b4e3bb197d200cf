// Label selectors as Kubernetes has them: all of `matchLabels` and all of `matchExpressions` must hold, and an empty selector selects everything.
import { z } from 'zod';
import type { Labels } from './kubernetes-objects.ts';

const expressionSchema = z.object({
  key: z.string().min(1),
  operator: z.string(),
  values: z.array(z.string()).nullish(),
});

export const labelSelectorSchema = z.object({
  matchLabels: z.record(z.string(), z.string()).nullish(),
  matchExpressions: z.array(expressionSchema).nullish(),
});

export type LabelSelectorSpec = z.output<typeof labelSelectorSchema>;
export type LabelSelector = (labels: Labels) => boolean;

/** Throws with the expression that cannot be one. */
export function createLabelSelector({ matchLabels, matchExpressions }: LabelSelectorSpec): LabelSelector {
  const requirements = [
    ...Object.entries(matchLabels ?? {}).map(([key, value]) => requirementOf({ key, operator: 'In', values: [value] })),
    ...(matchExpressions ?? []).map(requirementOf),
  ];
  return (labels) => requirements.every((holds) => holds(labels));
}

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

const valueOf = (labels: Labels, key: string): string | undefined =>
  Object.hasOwn(labels, key) ? labels[key] : undefined;

function requirementOf({ key, operator, values }: z.output<typeof expressionSchema>): LabelSelector {
  const listed = new Set(values ?? []);
  if (!operators.includes(operator))
    throw new Error(`operator ${JSON.stringify(operator)} of label ${key} is not In, NotIn, Exists or DoesNotExist`);
  const needsValues = operator === 'In' || operator === 'NotIn';
  if (needsValues && listed.size === 0) throw new Error(`${operator} of label ${key} needs values`);
  if (!needsValues && listed.size > 0) throw new Error(`${operator} of label ${key} takes no values`);
  switch (operator) {
    case 'In':
      return (labels) => {
        const value = valueOf(labels, key);
        return value !== undefined && listed.has(value);
      };
    case 'NotIn': // what does not have the label at all is selected, too
      return (labels) => {
        const value = valueOf(labels, key);
        return value === undefined || !listed.has(value);
      };
    case 'Exists':
      return (labels) => valueOf(labels, key) !== undefined;
    default:
      return (labels) => valueOf(labels, key) === undefined;
  }
}
