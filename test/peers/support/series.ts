// Series of two programs side by side: which names with which labels one shows and the other does not.

/** The name, and the names of its labels. */
export function shapeOf(series: string): string {
  const [, name, labels = ''] = /^(\w+)(?:\{(.*)\})?$/s.exec(series) ?? [];
  const names = [...labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)]
    .map(([, label]) => label!)
    .filter((x) => x !== 'quantile');
  return names.length === 0 ? name! : `${name}{${names.sort().join(',')}}`;
}

export const nameOf = (shape: string): string => shape.replace(/\{.*/, '');

/** The whole name. */
export const isNamed = (pattern: string, shape: string): boolean => new RegExp(`^(?:${pattern})$`).test(nameOf(shape));
