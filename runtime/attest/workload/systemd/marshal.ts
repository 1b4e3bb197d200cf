// Values as D-Bus lays them out (D-Bus Specification, "Marshaling"): aligned, with lengths before and a NUL after text.

export type Argument = string | number;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class MessageWriter {
  readonly #parts: Buffer[] = [];
  length = 0;

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  align(to: number): void {
    this.#add(Buffer.alloc((to - (this.length % to)) % to));
  }

  byte(value: number): void {
    this.#add(Buffer.of(value));
  }

  uint32(value: number): void {
    this.align(4);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    this.#add(bytes);
  }

  /** STRING and OBJECT_PATH. */
  string(value: string): void {
    this.uint32(Buffer.byteLength(value));
    this.#add(Buffer.from(`${value}\0`));
  }

  signature(value: string): void {
    this.byte(value.length);
    this.#add(Buffer.from(`${value}\0`));
  }

  /** A header field: its code, and a variant. */
  field(code: number, type: 'o' | 's' | 'g', value: string): void {
    this.align(8);
    this.byte(code);
    this.signature(type);
    if (type === 'g') this.signature(value);
    else this.string(value);
  }

  #add(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }
}

/** Throws where a value does not lie within the bytes, or is not what its type must be. */
export class MessageReader {
  readonly #bytes: Buffer;
  readonly #little: boolean;
  #at: number;

  constructor(bytes: Buffer, little: boolean, at: number) {
    this.#bytes = bytes;
    this.#little = little;
    this.#at = at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  align(to: number): void {
    this.#take((to - (this.#at % to)) % to);
  }

  byte(): number {
    return this.#take(1).readUInt8();
  }

  uint32(): number {
    this.align(4);
    const bytes = this.#take(4);
    return this.#little ? bytes.readUInt32LE() : bytes.readUInt32BE();
  }

  string(): string {
    return this.#text(this.uint32());
  }

  signature(): string {
    return this.#text(this.byte());
  }

  /** One value in another would let the sender choose how deep we go: a variant holds no variant. */
  variant(): Argument {
    const type = this.signature();
    if (type.length !== 1 || type === 'v') throw new Error(`variant has the type ${JSON.stringify(type)}`);
    return this.#value(type);
  }

  /** Values one after another. A variant is its value. */
  values(signature: string): Argument[] {
    return Array.from(signature, (type) => this.#value(type));
  }

  #value(type: string): Argument {
    if (type === 's' || type === 'o') return this.string();
    if (type === 'u') return this.uint32();
    if (type === 'g') return this.signature();
    if (type === 'v') return this.variant();
    throw new Error(`value has the type ${JSON.stringify(type)}`);
  }

  #text(length: number): string {
    const text = decoder.decode(this.#take(length));
    if (text.includes('\0') || this.byte() !== 0) throw new Error('text has a NUL within, or none at its end');
    return text;
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error(`message ends before ${end} bytes`);
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}
