// The one question that we have for Docker's API (Podman answers it too): what is this container? Over a Unix socket, with limits on time and size.
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { request } from '../../../rpc/node-http.ts';
import { WorkloadAttestError } from '../attestor.ts';
import { readAnswer } from '../read-answer.ts';
import type { Answer } from '../read-answer.ts';

const containerSchema = z.object({
  /** The digest of the image that the container was made from, whatever its name means by now. */
  Image: z.string().optional(),
  Config: z.object({
    Image: z.string().default(''),
    Labels: z.record(z.string(), z.string()).nullish(),
    Env: z.array(z.string()).nullish(),
  }),
});
export type Container = z.output<typeof containerSchema>;

export interface Engine {
  readonly socketPath: string;
  /** Of the API, such as `1.44`; the engine's own where absent. */
  readonly version: string | undefined;
}

const maxAnswerBytes = 4 * 1024 * 1024;
const waitsMs = [100, 200, 400] as const;

/** A busy engine is asked again, up to three times; one that says that it has no such container is not. */
export async function inspectContainer(engine: Engine, id: string, signal: AbortSignal): Promise<Container> {
  for (const waitMs of waitsMs) {
    const answer = await ask(engine, id, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      return undefined;
    });
    if (answer !== undefined && answer.status < 500) return containerIn(answer, engine, id);
    await sleep(waitMs, undefined, { signal }).catch((cause: unknown) => {
      throw failure(engine, id, 'time is over', cause);
    });
  }
  return containerIn(await ask(engine, id, signal), engine, id);
}

function ask(engine: Engine, id: string, signal: AbortSignal): Promise<Answer> {
  const { socketPath, version } = engine;
  const path = `${version === undefined ? '' : `/v${version}`}/containers/${encodeURIComponent(id)}/json`;
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => reject(failure(engine, id, cause.message, cause));
    const asked = request({ socketPath, path, signal, agent: false, headers: { host: 'docker' } }, (response) => {
      readAnswer(response, maxAnswerBytes).then(resolve, fail);
    });
    asked.on('error', fail);
    asked.end();
  });
}

/** What the engine says goes no further: it holds the container's environment. */
function containerIn({ status, body }: Answer, engine: Engine, id: string): Container {
  if (status !== 200) throw failure(engine, id, `status ${status}`);
  const container = containerSchema.safeParse(jsonOf(body));
  if (container.success) return container.data;
  const [issue] = container.error.issues;
  throw failure(engine, id, `answer is malformed at ${issue?.path.join('.') ?? ''}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no object, which the schema refuses; the parser's message would quote the environment
  }
}

function failure({ socketPath }: Engine, id: string, why: string, cause?: unknown): WorkloadAttestError {
  return new WorkloadAttestError('CONTAINER', `container ${id} cannot be inspected at ${socketPath}: ${why}`, {
    cause,
  });
}
