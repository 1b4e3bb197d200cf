// HCL1's tokens. Strings, here-documents and numbers come out as their values; white space and comments do not come out.
import { readHeredoc } from './heredoc.ts';
import { readNumber } from './number-literal.ts';
import { readString } from './string-literal.ts';
import type { HclSource } from './errors.ts';

export type HclToken =
  | { readonly kind: 'identifier' | 'string' | 'heredoc'; readonly value: string; readonly offset: number }
  | { readonly kind: 'number'; readonly value: number; readonly offset: number }
  | { readonly kind: 'boolean'; readonly value: boolean; readonly offset: number }
  | { readonly kind: Punctuation | 'end'; readonly offset: number };

type Punctuation = '{' | '}' | '[' | ']' | ',' | '=';

const space = /[ \t\n\r]+/y;
const lineComment = /(?:#|\/\/)[^\n]*/y;
const identifier = /[\p{L}_][\p{L}\p{Nd}_.-]*/uy;
const numberStart = /-?\.?[0-9]/y;
const punctuation: ReadonlySet<string> = new Set<Punctuation>(['{', '}', '[', ']', ',', '=']);

export class HclScanner {
  readonly #source: HclSource;
  #offset = 0;
  #peeked: HclToken | undefined;

  constructor(source: HclSource) {
    this.#source = source;
  }

  peek(): HclToken {
    this.#peeked ??= this.#scan();
    return this.#peeked;
  }

  next(): HclToken {
    const token = this.peek();
    this.#peeked = undefined;
    return token;
  }

  #scan(): HclToken {
    this.#skipBlank();
    const offset = this.#offset;
    const character = this.#source.text.charAt(offset);
    if (character === '') return { kind: 'end', offset };
    if (isPunctuation(character)) {
      this.#offset += 1;
      return { kind: character, offset };
    }
    if (character === '"') return { kind: 'string', value: this.#take(readString), offset };
    if (character === '<') return { kind: 'heredoc', value: this.#take(readHeredoc), offset };
    if (this.#match(numberStart) !== undefined) return { kind: 'number', value: this.#take(readNumber), offset };
    const word = this.#match(identifier);
    if (word === undefined) {
      const shown = String.fromCodePoint(this.#source.text.codePointAt(offset) ?? 0);
      throw this.#source.errorAt(offset, `unexpected character ${JSON.stringify(shown)}`);
    }
    this.#offset += word.length;
    if (word === 'true' || word === 'false') return { kind: 'boolean', value: word === 'true', offset };
    return { kind: 'identifier', value: word, offset };
  }

  #skipBlank(): void {
    for (;;) {
      const blank = this.#match(space) ?? this.#match(lineComment) ?? this.#blockComment();
      if (blank === undefined) return;
      this.#offset += blank.length;
    }
  }

  #blockComment(): string | undefined {
    const { text } = this.#source;
    if (!text.startsWith('/*', this.#offset)) return undefined;
    const end = text.indexOf('*/', this.#offset + 2);
    if (end === -1) throw this.#source.errorAt(this.#offset, 'comment is not terminated');
    return text.slice(this.#offset, end + 2);
  }

  #take<T>(read: (source: HclSource, offset: number) => { readonly value: T; readonly end: number }): T {
    const { value, end } = read(this.#source, this.#offset);
    this.#offset = end;
    return value;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset;
    return pattern.exec(this.#source.text)?.[0];
  }
}

function isPunctuation(character: string): character is Punctuation {
  return punctuation.has(character);
}
