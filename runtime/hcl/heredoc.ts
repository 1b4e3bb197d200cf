// HCL1's here-documents: `<<EOF` keeps its lines as they are, `<<-EOF` takes off the indentation of the closing mark.
import type { HclSource } from './errors.ts';

const opening = /<<(-?)([\p{L}\p{Nd}_]+)\r*\n/uy;

/** The here-document whose first `<` is at the offset. */
export function readHeredoc(source: HclSource, offset: number): { readonly value: string; readonly end: number } {
  opening.lastIndex = offset;
  const [start, dash, mark] = opening.exec(source.text) ?? [];
  if (start === undefined || mark === undefined)
    throw source.errorAt(offset, 'here-document needs << and a mark, alone on the line');
  const lines: string[] = [];
  for (let at = offset + start.length; at <= source.text.length;) {
    const lineEnd = source.text.indexOf('\n', at);
    const end = lineEnd === -1 ? source.text.length : lineEnd;
    const line = source.text.slice(at, end);
    if (line.trim() === mark) {
      const indentation = line.slice(0, line.indexOf(mark));
      return { value: dash === '-' ? unindent(lines, indentation) : join(lines) + indentation, end };
    }
    lines.push(line);
    at = end + 1;
  }
  throw source.errorAt(offset, `here-document is not terminated: no line ${JSON.stringify(mark)}`);
}

/** A line with less indentation than the closing mark keeps every line as it is. */
function unindent(lines: readonly string[], indentation: string): string {
  if (!lines.every((line) => line.startsWith(indentation))) return join(lines);
  return join(lines.map((line) => line.slice(indentation.length)));
}

function join(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
