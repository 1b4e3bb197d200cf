// A log line as text: `time="…" level=info msg="…" key=value …`, keys sorted, values quoted where a reader could split them.

/** Turns the logger's JSON line into text; what comes in is always an object that the logger wrote itself. */
export function formatLogLine(json: string): string {
  const { time, level, msg, func, file, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const ordered: [string, unknown][] = [
    ['time', time],
    ['level', level],
    ['msg', msg],
    ['func', func],
    ['file', file],
    ...Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)),
  ];
  const pairs = ordered
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${formatValue(value)}`);
  return `${pairs.join(' ')}\n`;
}

function formatValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  // Quoting by JSON also keeps a line break in a peer's text from starting a line of its own.
  return /^[A-Za-z0-9._/@^+-]+$/.test(text) ? text : JSON.stringify(text);
}
