// The Query protocol: parameters in a form, lists by number (`Filter.1.Value.2`), answers in XML.
import { AwsError } from './errors.ts';

export class Parameters {
  readonly #values: ReadonlyMap<string, string>;
  readonly #prefix: string;

  constructor(values: ReadonlyMap<string, string>, prefix = '') {
    this.#values = values;
    this.#prefix = prefix;
  }

  optional(name: string): string | undefined {
    return this.#values.get(this.#prefix + name);
  }

  required(name: string): string {
    const value = this.optional(name);
    if (value === undefined || value === '')
      throw new AwsError('MissingParameter', `the request must contain the parameter ${this.#prefix}${name}`);
    return value;
  }

  /** Items of a list of structures; IAM and STS write `Name.member.1`, EC2 `Name.1`. */
  items(name: string): Parameters[] {
    return this.#numbers(name).map((number) => new Parameters(this.#values, `${this.#prefix}${name}.${number}.`));
  }

  /** All parameters, in order: what makes two requests the same. */
  entries(): [string, string][] {
    return [...this.#values.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  strings(name: string): string[] {
    return this.#numbers(name).map((number) => this.required(`${name}.${number}`));
  }

  #numbers(name: string): number[] {
    const start = `${this.#prefix}${name}.`;
    const numbers = new Set<number>();
    for (const key of this.#values.keys()) {
      const number = key.startsWith(start) ? /^(\d+)(\.|$)/.exec(key.slice(start.length))?.[1] : undefined;
      if (number !== undefined) numbers.add(Number(number));
    }
    return [...numbers].sort((a, b) => a - b);
  }
}

export function parseParameters(body: string): Parameters {
  return new Parameters(new Map(new URLSearchParams(body)));
}

export type XmlValue =
  string | number | boolean | undefined | readonly XmlValue[] | { readonly [name: string]: XmlValue };

/** Elements of a value; a list is its element with an `item` (EC2) or `member` (IAM, STS) for each entry. */
export function encodeXml(value: XmlValue, listItem: string): string {
  if (value === undefined) return '';
  if (isList(value)) return value.map((item) => `<${listItem}>${encodeXml(item, listItem)}</${listItem}>`).join('');
  if (typeof value !== 'object') return escape(String(value));
  return Object.entries(value)
    .filter(([, child]) => child !== undefined)
    .map(([name, child]) => `<${name}>${encodeXml(child, listItem)}</${name}>`)
    .join('');
}

function isList(value: XmlValue): value is readonly XmlValue[] {
  return Array.isArray(value);
}

function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
    '\r': '&#13;',
  };
  return text.replace(/[&<>"'\r]/g, (character) => entities[character] ?? character);
}

/** ISO 8601, as all of AWS's XML has it. */
export function timestamp(time: number): string {
  return new Date(time).toISOString();
}

/** A page of a list by opaque token; lists here are short, so the token is the next index. */
export function paginate<T>(
  list: readonly T[],
  token: string | undefined,
  limit: number,
): { page: readonly T[]; next: string | undefined } {
  const start = token === undefined ? 0 : Number(Buffer.from(token, 'base64url').toString());
  if (!Number.isInteger(start) || start < 0)
    throw new AwsError('InvalidNextToken', 'the token is not one of this list');
  const end = start + limit;
  return {
    page: list.slice(start, end),
    next: end < list.length ? Buffer.from(String(end)).toString('base64url') : undefined,
  };
}
