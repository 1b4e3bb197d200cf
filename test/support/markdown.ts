// Reads the parts of a Markdown text that tests hold against the code: sections, tables, code blocks, words in backticks.

/** The text under a heading of the second level, up to the next one. */
export function sectionOf(text: string, title: string): string {
  const [, found] = text.split(`\n## ${title}\n`);
  if (found === undefined) throw new Error(`no section ${title}`);
  return found.split('\n## ')[0]!;
}

/** The rows of all tables in a text, without their heads, cell by cell. */
export function rowsOf(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  const isRule = (line: string | undefined) => line !== undefined && /^\|[-|]+\|$/.test(line);
  return lines.filter((line, index) => !isRule(line) && !isRule(lines[index + 1])).map(cellsOf);
}

/** A bar inside a cell is written `\|`. */
function cellsOf(line: string): string[] {
  const cells = line.slice(1, -1).split(/(?<!\\)\|/);
  return cells.map((cell) => cell.trim());
}

/** What stands in backticks, on one line. */
export function quotedIn(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, word]) => word!);
}

/** The first code block of that language. */
export function codeBlockOf(text: string, language: string): string {
  const found = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(text);
  if (found === null) throw new Error(`no ${language} block`);
  return found[1]!;
}

export function withoutCodeBlocks(text: string): string {
  return text.replace(/```[\s\S]*?```/g, '');
}
