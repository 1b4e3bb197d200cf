// Times as `-expiresBefore` takes them, refused in the words of Go's time package.

const layout = '2006-01-02 15:04:05 -0700 -07';

interface Part {
  /** How the layout writes it. */
  readonly mark: string;
  readonly shape: RegExp;
  /** What is out of range where the number is. */
  readonly range?: { readonly name: string; readonly from: number; readonly to: number };
}

const twoDigits = /^\d\d/;
const literal = (mark: string): Part => ({ mark, shape: new RegExp(`^${mark}`) });

const parts: readonly Part[] = [
  { mark: '2006', shape: /^\d{4}/ },
  literal('-'),
  { mark: '01', shape: twoDigits, range: { name: 'month', from: 1, to: 12 } },
  literal('-'),
  // The day is held against its month at the end.
  { mark: '02', shape: twoDigits },
  literal(' '),
  { mark: '15', shape: twoDigits, range: { name: 'hour', from: 0, to: 23 } },
  literal(':'),
  { mark: '04', shape: twoDigits, range: { name: 'minute', from: 0, to: 59 } },
  literal(':'),
  // Go takes a fraction after the seconds, though the layout has none.
  { mark: '05', shape: /^\d\d(?:[.,]\d+)?/, range: { name: 'second', from: 0, to: 59 } },
  literal(' '),
  { mark: '-0700', shape: /^[+-]\d{4}/ },
  literal(' '),
  { mark: '-07', shape: /^[+-]\d\d/ },
];

/** Throws unless the text is such a time. */
export function checkGoTime(text: string): void {
  const refuse = (reason: string) => new Error(`parsing time ${JSON.stringify(text)}${reason}`);
  let rest = text;
  const numbers = new Map<string, number>();
  for (const { mark, shape, range } of parts) {
    const [found] = shape.exec(rest) ?? [];
    if (found === undefined) {
      throw refuse(` as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(rest)} as ${JSON.stringify(mark)}`);
    }
    const number = Math.floor(Number(found.replace(',', '.')));
    if (range !== undefined && (number < range.from || number > range.to)) throw refuse(`: ${range.name} out of range`);
    numbers.set(mark, number);
    rest = rest.slice(found.length);
  }
  if (rest !== '') throw refuse(`: extra text: ${JSON.stringify(rest)}`);
  const lastDay = new Date(Date.UTC(numbers.get('2006') ?? 0, numbers.get('01') ?? 1, 0)).getUTCDate();
  const day = numbers.get('02') ?? 0;
  if (day < 1 || day > lastDay) throw refuse(': day out of range');
}
