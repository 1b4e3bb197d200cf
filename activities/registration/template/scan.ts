// The words of a Go text/template: plain text, actions with their trim marks and comments, and the tokens within an action.
import { TemplateError } from './template-error.ts';

export type Piece = { readonly text: string } | { readonly action: readonly Token[]; readonly source: string };

export type Token =
  | { readonly kind: 'constant'; readonly value: string | number }
  | { readonly kind: 'word' | 'variable' | 'punctuation'; readonly text: string }
  /** `.A.B`; no names are the dot itself. `isAdjacent` where it follows a bracket or a variable without a space between. */
  | { readonly kind: 'field'; readonly names: readonly string[]; readonly isAdjacent: boolean };

/** `{{` to `}}`; a string within may hold the closing braces. */
const action = /\{\{(-\s)?((?:"(?:[^"\\\n]|\\.)*"|`[^`]*`|\/\*[\s\S]*?\*\/|(?!\}\}|\s-\}\}|"|`)[\s\S])*)(\s-)?\}\}/y;
const comment = /^\s*\/\*[\s\S]*?\*\/\s*$/;

export function scanTemplate(text: string): Piece[] {
  const pieces: Piece[] = [];
  let trimsNext = false;
  const addText = (raw: string, trimsEnd: boolean): void => {
    const from = trimsNext ? raw.trimStart() : raw;
    const kept = trimsEnd ? from.trimEnd() : from;
    if (kept !== '') pieces.push({ text: kept });
  };
  let end = 0;
  for (let open = text.indexOf('{{'); open !== -1; open = text.indexOf('{{', end)) {
    action.lastIndex = open;
    const match = action.exec(text);
    if (match === null) throw new TemplateError(text, `the action at ${open} has no end`);
    const [whole, trimBefore, source = '', trimAfter] = match;
    addText(text.slice(end, open), trimBefore !== undefined);
    if (!comment.test(source)) pieces.push({ action: scanAction(source, text), source: source.trim() });
    trimsNext = trimAfter !== undefined;
    end = open + whole.length;
  }
  addText(text.slice(end), false);
  return pieces;
}

const patterns = {
  space: /\s+/y,
  quoted: /"((?:[^"\\\n]|\\.)*)"/y,
  raw: /`([^`]*)`/y,
  number: /[+-]?\d+(?:\.\d+)?(?![\w.])/y,
  variable: /\$\w*/y,
  field: /\.[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*|\.(?!\w)/y,
  word: /[A-Za-z_]\w*/y,
  punctuation: /:=|[=|(),]/y,
} as const;

function scanAction(source: string, template: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let isAfterSpace = true;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(source) ?? undefined;
    if (match !== undefined) at += match[0].length;
    return match;
  };
  while (at < source.length) {
    if (take(patterns.space) !== undefined) {
      isAfterSpace = true;
      continue;
    }
    tokens.push(
      scanToken(
        take,
        isAfterSpace,
        () => new TemplateError(template, `${JSON.stringify(source.slice(at).trim())} is not understood`),
      ),
    );
    isAfterSpace = false;
  }
  return tokens;
}

function scanToken(
  take: (pattern: RegExp) => RegExpExecArray | undefined,
  isAfterSpace: boolean,
  unreadable: () => TemplateError,
): Token {
  const quoted = take(patterns.quoted);
  if (quoted !== undefined) return { kind: 'constant', value: unquote(quoted[1] ?? '', unreadable) };
  const raw = take(patterns.raw);
  if (raw !== undefined) return { kind: 'constant', value: raw[1] ?? '' };
  const number = take(patterns.number);
  if (number !== undefined) return { kind: 'constant', value: Number(number[0]) };
  const variable = take(patterns.variable);
  if (variable !== undefined) return { kind: 'variable', text: variable[0] };
  const field = take(patterns.field);
  if (field !== undefined)
    return { kind: 'field', names: field[0].split('.').slice(1).filter(Boolean), isAdjacent: !isAfterSpace };
  const word = take(patterns.word);
  if (word !== undefined) return { kind: 'word', text: word[0] };
  const punctuation = take(patterns.punctuation);
  if (punctuation !== undefined) return { kind: 'punctuation', text: punctuation[0] };
  throw unreadable();
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\' };

function unquote(text: string, unreadable: () => TemplateError): string {
  return text.replaceAll(/\\(.)/g, (_, letter: string) => {
    const meant = escapes[letter];
    if (meant === undefined) throw unreadable();
    return meant;
  });
}
