// How deep JSON may nest before it is parsed at all. V8's parser takes any depth; whoever walks or prints the value afterwards runs out of stack.

/** Deeper than anything that SPIFFE documents, tokens or attestation evidence hold. */
export const maxJsonDepth = 32;

/** Throws where lists and objects nest deeper than allowed. Reads brackets only: whether the text is JSON, the parser says. */
export function checkJsonDepth(text: string, max = maxJsonDepth): void {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (inString) {
      if (character === '\\') index += 1;
      if (character === '"') inString = false;
      continue;
    }
    if (character === '"') inString = true;
    if (character === '[' || character === '{') depth += 1;
    if (character === ']' || character === '}') depth -= 1;
    if (depth > max) throw new Error(`JSON is nested deeper than ${max} levels`);
  }
}
