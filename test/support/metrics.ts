// What a server or an agent tells Prometheus, read over HTTP at the port that its log names.

/** The port that the log line says; the configuration asked for any. */
export function metricsPort(lines: readonly string[]): number {
  const line = lines.find((text) => text.includes('Starting prometheus exporter'));
  const port = /\bport=(\d+)/.exec(line ?? '')?.[1];
  if (port === undefined) throw new Error('no prometheus exporter was started');
  return Number(port);
}

export interface Scrape {
  /** Every series as it is written, with its value. */
  readonly values: ReadonlyMap<string, number>;
  /** Names and kinds, as the TYPE lines have them. */
  readonly kinds: ReadonlyMap<string, string>;
}

export async function scrape(port: number): Promise<Scrape> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  return parseScrape(await response.text());
}

export function parseScrape(text: string): Scrape {
  const lines = text.split('\n').filter((line) => line !== '');
  const series = lines.filter((line) => !line.startsWith('#'));
  const typeLines = lines.filter((line) => line.startsWith('# TYPE ')).map((line) => line.split(' '));
  return {
    values: new Map(
      series.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
    ),
    kinds: new Map(typeLines.map(([, , name, kind]) => [name!, kind!])),
  };
}
