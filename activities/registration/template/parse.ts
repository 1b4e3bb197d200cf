// From the words of a template to its tree. Whatever this part of Go's text/template does not have is refused by name, when the template is read and not
// when the first pod needs it.
import { functionNames } from './functions.ts';
import type { Piece, Token } from './scan.ts';
import { scanTemplate } from './scan.ts';
import { TemplateError } from './template-error.ts';

export type Expression =
  | { readonly kind: 'constant'; readonly value: string | number | boolean | null }
  | { readonly kind: 'dot' }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'field'; readonly of: Expression; readonly names: readonly string[] }
  | { readonly kind: 'call'; readonly name: string; readonly operands: readonly Expression[] };

export interface Branches {
  readonly pipeline: Expression;
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipeline: Expression; readonly source: string }
  | { readonly kind: 'assign'; readonly name: string; readonly isNew: boolean; readonly pipeline: Expression }
  | ({ readonly kind: 'if' | 'with' } & Branches)
  | ({ readonly kind: 'range'; readonly key?: string | undefined; readonly element?: string | undefined } & Branches);

const notHere = ['define', 'template', 'block', 'break', 'continue'];

export function parseTree(template: string): Node[] {
  const pieces = scanTemplate(template);
  const reader = { pieces, at: 0, template };
  const { nodes, ending } = parseNodes(reader, 0);
  if (ending !== undefined) throw new TemplateError(template, `{{${ending}}} ends nothing`);
  return nodes;
}

interface Reader {
  readonly pieces: readonly Piece[];
  at: number;
  readonly template: string;
}

interface Parsed {
  readonly nodes: Node[];
  /** `end` or `else …`, which closed it; undefined at the end of the template. */
  readonly ending: string | undefined;
  readonly rest: readonly Token[];
}

const deepest = 20;

function parseNodes(reader: Reader, depth: number): Parsed {
  if (depth > deepest) throw new TemplateError(reader.template, `it is nested deeper than ${deepest}`);
  const nodes: Node[] = [];
  for (;;) {
    const piece = reader.pieces[reader.at++];
    if (piece === undefined) return { nodes, ending: undefined, rest: [] };
    if ('text' in piece) {
      nodes.push({ kind: 'text', text: piece.text });
      continue;
    }
    const [first, ...rest] = piece.action;
    const word = first?.kind === 'word' ? first.text : '';
    if (word === 'end' || word === 'else') return { nodes, ending: word, rest };
    if (notHere.includes(word)) throw new TemplateError(reader.template, `{{${word}}} is not supported`);
    if (word === 'if' || word === 'with' || word === 'range') nodes.push(parseBranches(reader, word, rest, depth));
    else nodes.push(parseAction(reader.template, piece));
  }
}

function parseBranches(reader: Reader, kind: 'if' | 'with' | 'range', head: readonly Token[], depth: number): Node {
  const { template } = reader;
  const { names, tokens } = kind === 'range' ? rangeVariables(head, template) : { names: [], tokens: head };
  const pipeline = parsePipeline(tokens, template);
  const then = parseNodes(reader, depth + 1);
  if (then.ending === undefined) throw new TemplateError(template, `{{${kind}}} has no {{end}}`);
  const otherwise = then.ending === 'else' ? parseElse(reader, kind, then.rest, depth) : [];
  const branches = { pipeline, body: then.nodes, otherwise };
  if (kind !== 'range') return { kind, ...branches };
  return { kind, element: names.at(-1), key: names.length === 2 ? names[0] : undefined, ...branches };
}

/** `{{else}}` to its end, or `{{else if …}}`, which takes the end of both. */
function parseElse(reader: Reader, kind: string, rest: readonly Token[], depth: number): Node[] {
  const [first, ...head] = rest;
  if (first === undefined) {
    const { nodes, ending } = parseNodes(reader, depth + 1);
    if (ending !== 'end') throw new TemplateError(reader.template, `the {{else}} of {{${kind}}} has no {{end}}`);
    return nodes;
  }
  if (first.kind === 'word' && (first.text === 'if' || first.text === 'with') && first.text === kind)
    return [parseBranches(reader, first.text, head, depth + 1)];
  throw new TemplateError(reader.template, `{{else}} of {{${kind}}} is followed by something`);
}

function rangeVariables(tokens: readonly Token[], template: string): { names: string[]; tokens: readonly Token[] } {
  const place = tokens.findIndex((token) => token.kind === 'punctuation' && token.text === ':=');
  if (place === -1) return { names: [], tokens };
  const names = tokens.slice(0, place).flatMap((token) => (token.kind === 'variable' ? [token.text] : []));
  if (names.length === 0 || names.length > 2 || names.length * 2 - 1 !== place)
    throw new TemplateError(template, '{{range}} declares one variable or two');
  return { names, tokens: tokens.slice(place + 1) };
}

function parseAction(
  template: string,
  { action, source }: { readonly action: readonly Token[]; source: string },
): Node {
  const [first, second, ...rest] = action;
  if (first?.kind === 'variable' && second?.kind === 'punctuation' && (second.text === ':=' || second.text === '='))
    return { kind: 'assign', name: first.text, isNew: second.text === ':=', pipeline: parsePipeline(rest, template) };
  return { kind: 'print', pipeline: parsePipeline(action, template), source };
}

/** Commands between bars; the value of each is the last operand of the next. */
function parsePipeline(tokens: readonly Token[], template: string): Expression {
  let value: Expression | undefined;
  for (const command of splitAt(tokens, '|')) value = parseCommand(command, value, template);
  if (value === undefined) throw new TemplateError(template, 'an action says nothing');
  return value;
}

function parseCommand(tokens: readonly Token[], piped: Expression | undefined, template: string): Expression {
  const [first] = tokens;
  if (first === undefined) throw new TemplateError(template, 'a command is missing');
  const isFunction = first.kind === 'word' && !constants.has(first.text);
  const operands = parseOperands(isFunction ? tokens.slice(1) : tokens, template);
  const all = piped === undefined ? operands : [...operands, piped];
  if (isFunction) {
    if (!functionNames.has(first.text)) throw new TemplateError(template, `function "${first.text}" is not there`);
    return { kind: 'call', name: first.text, operands: all };
  }
  const [only] = all;
  if (only === undefined || all.length > 1) throw new TemplateError(template, 'only a function takes operands');
  return only;
}

const constants = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['nil', null],
]);

function parseOperands(tokens: readonly Token[], template: string): Expression[] {
  const operands: Expression[] = [];
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at];
    const last = operands.at(-1);
    if (token?.kind === 'field' && token.isAdjacent && last !== undefined) {
      operands[operands.length - 1] = { kind: 'field', of: last, names: token.names };
      continue;
    }
    if (token?.kind === 'punctuation' && token.text === '(') {
      const close = closingOf(tokens, at, template);
      operands.push(parsePipeline(tokens.slice(at + 1, close), template));
      at = close;
      continue;
    }
    operands.push(parseOperand(token, template));
  }
  return operands;
}

function parseOperand(token: Token | undefined, template: string): Expression {
  if (token?.kind === 'constant') return token;
  if (token?.kind === 'variable') return { kind: 'variable', name: token.text };
  if (token?.kind === 'field')
    return token.names.length === 0 ? { kind: 'dot' } : { kind: 'field', of: { kind: 'dot' }, names: token.names };
  if (token?.kind === 'word') {
    const value = constants.get(token.text);
    if (value !== undefined) return { kind: 'constant', value };
    if (functionNames.has(token.text)) return { kind: 'call', name: token.text, operands: [] };
    throw new TemplateError(template, `function "${token.text}" is not there`);
  }
  throw new TemplateError(template, `${JSON.stringify(token?.text ?? '')} is out of place`);
}

function closingOf(tokens: readonly Token[], open: number, template: string): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token?.kind !== 'punctuation') continue;
    if (token.text === '(') depth += 1;
    if (token.text === ')' && (depth -= 1) === 0) return at;
  }
  throw new TemplateError(template, 'a bracket is not closed');
}

/** Outside brackets. */
function splitAt(tokens: readonly Token[], text: string): Token[][] {
  if (tokens.length === 0) return [];
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === 'punctuation' && token.text === '(') depth += 1;
    if (token.kind === 'punctuation' && token.text === ')') depth -= 1;
    if (depth === 0 && token.kind === 'punctuation' && token.text === text) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}
