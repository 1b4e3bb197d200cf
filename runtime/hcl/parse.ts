// HCL1 text to plain values, as SPIRE's configuration files use it, or HCL1's JSON form where the text begins with a brace.
import { HclSource } from './errors.ts';
import { HclScanner } from './scanner.ts';
import type { HclToken } from './scanner.ts';
import { addItem, maxDepth } from './items.ts';
import type { Items } from './items.ts';
import { isJson, parseJson } from './parse-json.ts';
import type { HclObject, HclValue } from './value.ts';

export { HclError } from './errors.ts';
export type { HclObject, HclValue } from './value.ts';

export function parseHcl(text: string, file = 'config'): HclObject {
  const source = new HclSource(text, file);
  if (isJson(text)) return parseJson(source);
  const parser: Parser = { source, scanner: new HclScanner(source) };
  return parseItems(parser, 'end', 0);
}

interface Parser {
  readonly source: HclSource;
  readonly scanner: HclScanner;
}

/** The items up to the closing token, which is taken too. */
function parseItems(parser: Parser, close: '}' | 'end', depth: number): HclObject {
  const { scanner } = parser;
  const items: Items = { values: new Map(), blocks: new Map() };
  for (let token = scanner.next(); token.kind !== close; token = scanner.next()) {
    const keys = parseKeys(parser, token);
    const value = parseItemValue(parser, keys, depth);
    addItem(parser.source, items, token.offset, keys, value);
    if (scanner.peek().kind === ',') scanner.next();
  }
  // Own properties whatever their names: a key such as __proto__ is data.
  return Object.fromEntries(items.values);
}

function parseKeys({ source, scanner }: Parser, first: HclToken): [string, ...string[]] {
  if (first.kind !== 'identifier' && first.kind !== 'string') {
    throw source.errorAt(first.offset, `expected a key, got ${describe(first)}`);
  }
  const keys: [string, ...string[]] = [first.value];
  for (let token = scanner.peek(); token.kind === 'identifier' || token.kind === 'string'; token = scanner.peek()) {
    keys.push(token.value);
    scanner.next();
  }
  return keys;
}

function parseItemValue(parser: Parser, keys: readonly string[], depth: number): HclValue {
  const token = parser.scanner.next();
  if (token.kind === '{') return parseObject(parser, token, depth + keys.length - 1);
  if (token.kind !== '=') {
    throw parser.source.errorAt(token.offset, `expected { or = after ${keys.join(' ')}, got ${describe(token)}`);
  }
  if (keys.length > 1) throw parser.source.errorAt(token.offset, `expected { after ${keys.join(' ')}, got =`);
  return parseValue(parser, depth);
}

function parseValue(parser: Parser, depth: number): HclValue {
  const token = parser.scanner.next();
  if (token.kind === '{') return parseObject(parser, token, depth);
  if (token.kind === '[') return parseList(parser, token, depth);
  if (token.kind === 'string' || token.kind === 'heredoc' || token.kind === 'number' || token.kind === 'boolean') {
    return token.value;
  }
  const hint = token.kind === 'identifier' ? ' (text needs quotes)' : '';
  throw parser.source.errorAt(token.offset, `expected a value, got ${describe(token)}${hint}`);
}

function parseObject(parser: Parser, open: HclToken, depth: number): HclObject {
  checkDepth(parser, open, depth);
  return parseItems(parser, '}', depth + 1);
}

function parseList(parser: Parser, open: HclToken, depth: number): HclValue[] {
  checkDepth(parser, open, depth);
  const { source, scanner } = parser;
  const list: HclValue[] = [];
  while (scanner.peek().kind !== ']') {
    list.push(parseValue(parser, depth + 1));
    const separator = scanner.peek();
    if (separator.kind === ']') break;
    if (separator.kind !== ',')
      throw source.errorAt(separator.offset, `expected , or ] in a list, got ${describe(separator)}`);
    scanner.next();
  }
  scanner.next();
  return list;
}

function checkDepth({ source }: Parser, open: HclToken, depth: number): void {
  if (depth >= maxDepth) throw source.errorAt(open.offset, `nested deeper than ${maxDepth} levels`);
}

function describe(token: HclToken): string {
  if (token.kind === 'end') return 'the end of the file';
  return 'value' in token ? `${token.kind} ${JSON.stringify(token.value)}` : token.kind;
}
