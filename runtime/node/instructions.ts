// What the owner of a GCE instance tells it to run while it runs: a script in the instance's metadata, whose end the instance reports as a guest attribute.
// Whoever may set an instance's metadata may set what it runs at its next boot as well, so this gives nobody more than he had.
// https://cloud.google.com/compute/docs/metadata/manage-guest-attributes
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { readBounded } from '../attest/bounded-body.ts';
import { metadataHost } from '../attest/gcp_iit/metadata-server.ts';
import type { CloudNodeDeps } from './cloud-node.ts';

export interface InstructionsOptions extends CloudNodeDeps {
  /** Where the script is run from and its end is kept. */
  readonly directory: string;
  readonly note: (line: string) => void;
  readonly signal: AbortSignal;
}

const instructionKey = 'espalier-instruction';
const resultPath = 'guest-attributes/espalier/instruction';
const instructionSchema = z.object({ id: z.string().min(1).max(128), script: z.string().min(1) });
const endSchema = z.object({ id: z.string(), code: z.int(), output: z.string() });
type End = z.output<typeof endSchema>;

const largestMetadata = 1024 * 1024;
/** The server answers after this without a change. */
const waitSeconds = 60;
const pauseMs = 2_000;
/** What people read of a script that failed. */
const keptOutput = 2_000;

/** Goes on until the signal. Each instruction is run once, and again only where the machine went down in the middle. */
export async function followInstructions(options: InstructionsOptions): Promise<void> {
  const { directory, note, signal } = options;
  const endFile = join(directory, 'instruction.json');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  let etag = '0';
  let said = '';
  while (!signal.aborted) {
    try {
      const found = await readAttributes(options, etag);
      const end = found.instruction === undefined ? undefined : await perform(found.instruction, endFile, options);
      if (end !== undefined) await report(end, options);
      ({ etag } = found); // only now: what could not be reported is looked at again
      said = '';
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      if (reason !== said) note(`not yet: ${reason}`);
      said = reason;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function readAttributes({ fetch, env, signal }: InstructionsOptions, etag: string) {
  const query = `recursive=true&alt=json&wait_for_change=true&timeout_sec=${waitSeconds}&last_etag=${encodeURIComponent(etag)}`;
  const response = await fetch(`${base(env)}/instance/attributes/?${query}`, {
    headers: { 'Metadata-Flavor': 'Google' },
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout((waitSeconds + 30) * 1000)]),
  });
  const body = await readBounded(response, largestMetadata);
  if (!response.ok || response.headers.get('metadata-flavor') !== 'Google')
    throw new Error(`the metadata server answered ${response.status} for the instance's attributes`);
  const { [instructionKey]: text } = z.record(z.string(), z.unknown()).parse(JSON.parse(body));
  return {
    etag: response.headers.get('etag') ?? '0',
    instruction: typeof text === 'string' ? instructionSchema.parse(JSON.parse(text)) : undefined,
  };
}

async function perform(
  { id, script }: z.output<typeof instructionSchema>,
  endFile: string,
  { directory, note, signal }: InstructionsOptions,
): Promise<End> {
  const done = await readEnd(endFile);
  if (done?.id === id) return done;
  note(`instruction ${id}: running`);
  const file = join(directory, 'instruction.sh');
  await writeFile(file, script, { mode: 0o700 });
  const { code, output } = await run(file, signal);
  note(`instruction ${id}: ended with ${code}`);
  const end = { id, code, output: output.slice(-keptOutput) };
  await writeFile(endFile, JSON.stringify(end), { mode: 0o600 });
  return end;
}

function run(file: string, signal: AbortSignal): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', [file], { stdio: ['ignore', 'pipe', 'pipe'], signal });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-2 * keptOutput);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    // What the script started may keep its output open for as long as it runs.
    child.once('exit', (code) => {
      const done = (): void => resolve({ code: code ?? 255, output });
      child.once('close', done);
      setTimeout(done, 500).unref();
    });
  });
}

async function report(end: End, { fetch, env, signal }: InstructionsOptions): Promise<void> {
  const response = await fetch(`${base(env)}/instance/${resultPath}`, {
    method: 'PUT',
    headers: { 'Metadata-Flavor': 'Google' },
    body: JSON.stringify(end),
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the metadata server answered ${response.status} for the end of an instruction`);
}

async function readEnd(file: string): Promise<End | undefined> {
  try {
    return endSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined; // none yet, or cut off in the middle: then the instruction is run again
  }
}

function base(env: InstructionsOptions['env']): string {
  return `http://${metadataHost(env)}/computeMetadata/v1`;
}
