// The Go program on go-spiffe's federation package: as the reader of a bundle endpoint, and as an endpoint.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface LineProgram {
  /** What it has printed, line by line. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

/** Its standard input is its leash. Resolves with its first line. */
export async function startLines(program: string, args: readonly string[]): Promise<LineProgram> {
  const child = spawn(program, [...args], { stdio: 'pipe' });
  const ended = once(child, 'close');
  const lines: string[] = [];
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const reader = createInterface(child.stdout).on('line', (line) => lines.push(line));
  const early = ended.then(() => Promise.reject(new Error(`${program} ended: ${said}`)));
  await Promise.race([once(reader, 'line'), early]);
  early.catch(() => undefined); // Its end is expected from here on.
  return {
    lines,
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}

export interface GoEndpoint {
  readonly url: string;
  stop(): Promise<void>;
}

export async function serveBundle(
  program: string,
  {
    trustDomain,
    bundlePath,
    profile,
    certificatePath,
    keyPath,
  }: Readonly<Record<'trustDomain' | 'bundlePath' | 'profile' | 'certificatePath' | 'keyPath', string>>,
): Promise<GoEndpoint> {
  const endpoint = await startLines(program, ['serve', trustDomain, bundlePath, profile, certificatePath, keyPath]);
  return { url: (endpoint.lines[0] ?? '').replace('listening on ', 'https://'), stop: () => endpoint.stop() };
}
