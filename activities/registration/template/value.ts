// What a template's expressions are worth: Go's values, as far as Kubernetes' objects have them.
export type Value = string | number | boolean | null | undefined | readonly Value[] | GoMap | GoStruct;

export interface GoMap {
  readonly [key: string]: Value;
}

/** Has the fields of its type and no others; a map has whatever keys it has. */
export class GoStruct {
  readonly typeName: string;
  /** Undefined where the type has no such field. */
  readonly #fieldOf: (name: string) => { readonly value: Value } | undefined;

  constructor(typeName: string, fieldOf: (name: string) => { readonly value: Value } | undefined) {
    this.typeName = typeName;
    this.#fieldOf = fieldOf;
  }

  field(name: string): { readonly value: Value } | undefined {
    return this.#fieldOf(name);
  }
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isMap(value: Value): value is GoMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof GoStruct);
}

/** As `if` takes it: what is zero, empty or nothing is false. */
export function isTrue(value: Value): boolean {
  if (isList(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value).length > 0;
  return value instanceof GoStruct || Boolean(value);
}

/** As `print` writes it. Throws where there is nothing, which Go writes as `<no value>`: no identity, selector or name means that. */
export function formatValue(value: Value): string {
  if (value === undefined) throw new Error('there is no such value');
  if (value === null) throw new Error('nil is no text');
  if (isList(value)) return `[${value.map(formatValue).join(' ')}]`;
  if (value instanceof GoStruct) throw new Error(`a ${value.typeName} is no text`);
  if (isMap(value))
    return `map[${Object.keys(value)
      .sort()
      .map((key) => `${key}:${formatValue(value[key])}`)
      .join(' ')}]`;
  return String(value);
}

export function kindOf(value: Value): string {
  if (value === undefined || value === null) return 'nothing';
  if (isList(value)) return 'a list';
  if (value instanceof GoStruct) return `a ${value.typeName}`;
  return isMap(value) ? 'a map' : `a ${typeof value}`;
}
