// `cmd_args` as spiffe-helper splits it: at single spaces, but not within double quotes; a quote inside quotes is doubled. No shell has a part in it.

/** Throws with the reason alone. */
export function splitArguments(text: string): readonly string[] {
  if (text === '') return [];
  const found: string[] = [];
  let at = 0;
  for (;;) {
    const [word, end] = text[at] === '"' ? quoted(text, at) : plain(text, at);
    found.push(word);
    if (end >= text.length) return found;
    at = end + 1;
  }
}

function plain(text: string, from: number): [string, number] {
  const space = text.indexOf(' ', from);
  const end = space === -1 ? text.length : space;
  const word = text.slice(from, end);
  if (word.includes('"')) throw new Error('has a quote inside an argument that does not begin with one');
  return [word, end];
}

function quoted(text: string, from: number): [string, number] {
  let word = '';
  for (let at = from + 1; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character !== '"') word += character;
    else if (text[at + 1] === '"') {
      word += '"';
      at += 1;
    } else if (at + 1 === text.length || text[at + 1] === ' ') return [word, at + 1];
    else throw new Error('has something other than a space behind a closing quote');
  }
  throw new Error('has a quote that is not closed');
}
