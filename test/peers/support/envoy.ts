// The Go program that does what an Envoy does, told one thing at a time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** What it is told; see test/peers/go/envoy. */
export type Told =
  | { readonly ask: readonly string[]; readonly envoy?: readonly [number, number]; readonly metadata?: object }
  | { readonly fetch: readonly string[]; readonly envoy?: readonly [number, number]; readonly metadata?: object }
  | { readonly nack: string }
  | { readonly rotated: true }
  | { readonly delta: true }
  | { readonly end: true };

export interface Envoy {
  /** Its answer, without what chance put into it. */
  tell(command: Told): Promise<unknown>;
  stop(): Promise<void>;
}

/** Its standard input is its leash. */
export function startEnvoy(program: string, socketPath: string): Envoy {
  const child = spawn(program, [socketPath], { stdio: 'pipe' });
  const ended = once(child, 'close');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    async tell(command) {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`${program} ended: ${said}`);
      return JSON.parse(value) as unknown;
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
