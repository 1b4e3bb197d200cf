// Reads a parsed configuration strictly: every fault and every key that nobody asked for is collected, and `finish` throws them together.
// Until `finish` has passed, a value that was missing or malformed is a stand-in (empty, zero, false) and must not be acted on.
import { ConfigError } from './config-error.ts';
import type { ConfigFault } from './config-error.ts';
import { isHclObject } from './value.ts';
import type { HclObject, HclValue } from './value.ts';
import { readBoolean, readDuration, readNumber, readString, readStrings } from './scalars.ts';

export { ConfigError } from './config-error.ts';
export type { ConfigFault } from './config-error.ts';

export interface LabelledReader {
  readonly label: string;
  readonly reader: HclReader;
}

/** A reader of the object; `path` is where the object stands, and begins the place of every fault. */
export function createHclReader(object: HclObject, path = ''): HclReader {
  return new HclReader(object, path);
}

export class HclReader {
  readonly path: string;
  readonly #object: HclObject;
  readonly #used = new Set<string>();
  readonly #faults: ConfigFault[] = [];
  readonly #children: HclReader[] = [];

  constructor(object: HclObject, path: string) {
    this.#object = object;
    this.path = path;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#object, key);
  }

  string(key: string): string {
    return this.#required(key, readString) ?? '';
  }

  optionalString(key: string): string | undefined {
    return this.#optional(key, readString);
  }

  /** A whole number; HCL1 takes it in quotes as well, as in `bind_port = "8081"`. */
  number(key: string): number {
    return this.#required(key, readNumber) ?? 0;
  }

  optionalNumber(key: string): number | undefined {
    return this.#optional(key, readNumber);
  }

  boolean(key: string): boolean {
    return this.#required(key, readBoolean) ?? false;
  }

  optionalBoolean(key: string): boolean | undefined {
    return this.#optional(key, readBoolean);
  }

  /** Milliseconds of a duration such as `"1h30m"`. */
  duration(key: string): number {
    return this.#required(key, readDuration) ?? 0;
  }

  optionalDuration(key: string): number | undefined {
    return this.#optional(key, readDuration);
  }

  /** Empty where the key is absent. */
  strings(key: string): readonly string[] {
    return this.#optional(key, readStrings) ?? [];
  }

  optionalStrings(key: string): readonly string[] | undefined {
    return this.#optional(key, readStrings);
  }

  /** The one block of that name; where it is absent, that is a fault and the reader is an empty one. */
  block(key: string): HclReader {
    if (!this.has(key)) this.fault(key, 'is missing');
    return this.optionalBlock(key) ?? new HclReader({}, this.#place(key));
  }

  optionalBlock(key: string): HclReader | undefined {
    const [first, ...others] = this.#objects(key);
    if (others.length > 0) this.fault(key, 'must stand once');
    return first === undefined ? undefined : this.#child(first, this.#place(key));
  }

  blocks(key: string): readonly HclReader[] {
    return this.#objects(key).map((object, i) => this.#child(object, `${this.#place(key)}[${i}]`));
  }

  /** Blocks with one label each, as in `NodeAttestor "x509pop" { … }`, in their order. */
  labelledBlocks(key: string): readonly LabelledReader[] {
    return this.#objects(key).flatMap((object) =>
      Object.entries(object).flatMap(([label, value]) => {
        const place = `${this.#place(key)} ${JSON.stringify(label)}`;
        if (!isObjectList(value)) {
          this.#faults.push({ place, message: 'must be a block' });
          return [];
        }
        return value.map((inner) => ({ label, reader: this.#child(inner, place) }));
      }),
    );
  }

  /** The one block of that name as it is, for whoever reads it on: its keys are not checked here. Absent, it is empty. */
  object(key: string): HclObject {
    const [first, ...others] = this.#objects(key);
    if (others.length > 0) this.fault(key, 'must stand once');
    return first ?? {};
  }

  /** Counts as asked for, whatever it holds. */
  ignore(key: string): void {
    this.#used.add(key);
  }

  /** Adds a fault that only the caller can see, such as a value out of its range. */
  fault(key: string, message: string): void {
    this.#faults.push({ place: this.#place(key), message });
  }

  /** The value of a text as something better; a throw becomes a fault of the key. Undefined where absent or at fault. */
  parsed<T>(key: string, parse: (text: string) => T): T | undefined {
    const text = this.optionalString(key);
    if (text === undefined) return undefined;
    try {
      return parse(text);
    } catch (cause) {
      this.fault(key, `${cause instanceof Error ? cause.message : String(cause)}: ${JSON.stringify(text)}`);
      return undefined;
    }
  }

  /** This object's keys that were never asked for. */
  unusedKeys(): readonly string[] {
    return Object.keys(this.#object).filter((key) => !this.#used.has(key));
  }

  /** Everything wrong here and in the blocks that were read, unknown keys included. */
  faults(): readonly ConfigFault[] {
    const unknown = this.unusedKeys().map((key) => ({ place: this.#place(key), message: 'unknown key' }));
    return [...this.#faults, ...unknown, ...this.#children.flatMap((child) => child.faults())];
  }

  /** Throws a {@link ConfigError} with all faults, if there are any. */
  finish(): void {
    const faults = this.faults();
    if (faults.length > 0) throw new ConfigError(faults);
  }

  #required<T>(key: string, read: (value: HclValue) => T): T | undefined {
    if (!this.has(key)) this.fault(key, 'is missing');
    return this.#optional(key, read);
  }

  #optional<T>(key: string, read: (value: HclValue) => T): T | undefined {
    const value = this.#take(key);
    if (value === undefined) return undefined;
    try {
      return read(value);
    } catch (cause) {
      this.fault(key, cause instanceof Error ? cause.message : String(cause));
      return undefined;
    }
  }

  #objects(key: string): readonly HclObject[] {
    const value = this.#take(key);
    if (value === undefined) return [];
    if (isObjectList(value)) return value;
    this.fault(key, 'must be a block');
    return [];
  }

  #take(key: string): HclValue | undefined {
    this.#used.add(key);
    return this.has(key) ? this.#object[key] : undefined;
  }

  #child(object: HclObject, path: string): HclReader {
    const child = new HclReader(object, path);
    this.#children.push(child);
    return child;
  }

  #place(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }
}

function isObjectList(value: HclValue): value is HclObject[] {
  return Array.isArray(value) && value.every(isHclObject);
}
