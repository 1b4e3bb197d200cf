// Input that nobody honest sends: noise, damaged samples, and nesting without end. For properties of parsers: they answer or refuse, whatever comes.
import fc from 'fast-check';

type Edit = readonly ['set' | 'insert' | 'delete' | 'repeat' | 'cut', number, number];

const edit: fc.Arbitrary<Edit> = fc.tuple(
  fc.constantFrom('set' as const, 'insert' as const, 'delete' as const, 'repeat' as const, 'cut' as const),
  fc.nat(),
  fc.nat(255),
);

function applyEdit(bytes: readonly number[], [kind, place, value]: Edit): number[] {
  const at = bytes.length === 0 ? 0 : place % bytes.length;
  const changed = [...bytes];
  if (kind === 'set') changed[at] = value;
  if (kind === 'insert') changed.splice(at, 0, value);
  if (kind === 'delete') changed.splice(at, 1 + (value % 4));
  if (kind === 'repeat') changed.splice(at, 0, ...bytes.slice(at, at + value));
  if (kind === 'cut') changed.length = at;
  return changed;
}

/** DER sequences inside each other, `depth` of them, with lengths that fit. */
export function nestedDer(depth: number, tag = 0x30): Uint8Array {
  const heads: number[][] = [];
  let length = 0;
  for (let level = 0; level < depth; level += 1) {
    const head = [tag, ...derLength(length)];
    heads.push(head);
    length += head.length;
  }
  return Uint8Array.from(heads.reverse().flat());
}

function derLength(length: number): number[] {
  if (length < 0x80) return [length];
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) digits.unshift(rest & 0xff);
  return [0x80 | digits.length, ...digits];
}

/** Made once: they are large. */
const nested = [30, 1_000, 60_000].flatMap((depth) => [
  nestedDer(depth),
  nestedDer(depth, 0xa0),
  new Uint8Array(2 * depth).map((_, index) => (index % 2 === 0 ? 0x30 : 0x80)),
  new Uint8Array(depth).fill(0x0b),
]);
const repeated = ['[', '{"a":', 'a{', '(', '/a', 'a.', '"'].flatMap((part) =>
  [30, 1_000, 60_000].map((times) => part.repeat(times)),
);

/** Bytes: noise, nesting (DER, BER with open lengths, protobuf groups), and each sample with up to eight edits. */
export function hostileBytes(samples: readonly Uint8Array[] = []): fc.Arbitrary<Uint8Array> {
  const damaged = samples.map((sample) =>
    fc
      .array(edit, { minLength: 1, maxLength: 8 })
      .map((edits) => Uint8Array.from(edits.reduce<readonly number[]>(applyEdit, [...sample]))),
  );
  return fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(...nested),
    ...damaged.map((arbitrary) => ({ arbitrary, weight: 6 })),
  );
}

/** Text: characters that parsers trip over, nesting, great lengths, and each sample with edits. */
export function hostileText(samples: readonly string[] = []): fc.Arbitrary<string> {
  const unit = fc.oneof(
    fc.constantFrom(
      ...'/.:%*-_"\\{}[]=,#?@ \t\r\n\0'.split(''),
      '..',
      '//',
      '%2e',
      '%2f',
      'spiffe://',
      '<<E\n',
      '${',
      '${A}',
    ),
    fc.constantFrom('a', 'Z', '0', 'é', 'а', '․', '\u202e', '\ud800', '\u{1F4A5}', '\ufeff', 'xn--'),
  );
  const bytes = samples.map((sample) => new TextEncoder().encode(sample));
  return fc.oneof(
    { arbitrary: fc.string({ unit, maxLength: 40 }), weight: 6 },
    fc.json(),
    fc.constantFrom(...repeated),
    ...bytes.map((sample) => ({
      arbitrary: hostileBytes([sample]).map((damaged) => new TextDecoder().decode(damaged)),
      weight: 3,
    })),
  );
}

/** What a parser did with its input: nothing to say when it answered or refused by an error of its own kind; anything else is the finding. */
export function findingOf(parse: () => unknown, isRefusal: (error: unknown) => boolean): unknown {
  try {
    parse();
    return undefined;
  } catch (error) {
    return isRefusal(error) ? undefined : error;
  }
}
