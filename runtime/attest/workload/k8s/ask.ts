// One question to an API of Kubernetes: a bounded answer in JSON of a known shape, or an error that says why not. Node's own HTTP, since an agent is small.
import type { RequestOptions } from 'node:http';
import { request as requestTls } from 'node:https';
import type * as z from 'zod';
import { request } from '../../../rpc/node-http.ts';
import { readAnswer } from '../read-answer.ts';
import type { Answer } from '../read-answer.ts';

export interface Question {
  readonly options: RequestOptions;
  readonly isSecure: boolean;
  readonly maxAnswerBytes: number;
}

const timeoutMs = 10_000;

export async function ask<T extends z.ZodType>(question: Question, schema: T): Promise<z.output<T>> {
  const answer = schema.safeParse(jsonOf(await textOf(question)));
  if (answer.success) return answer.data;
  const [issue] = answer.error.issues;
  throw new Error(`answer is malformed at ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

async function textOf({ options, isSecure, maxAnswerBytes }: Question): Promise<string> {
  const { status, body } = await new Promise<Answer>((resolve, reject) => {
    const settings = { ...options, agent: false, signal: AbortSignal.timeout(timeoutMs) };
    const asked = (isSecure ? requestTls : request)(settings, (response) => {
      readAnswer(response, maxAnswerBytes).then(resolve, reject);
    });
    asked.on('error', reject);
    asked.end();
  });
  if (status === 200) return body;
  throw new Error(`status ${status}: ${JSON.stringify(body.slice(0, 200))}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no object, which the schema refuses
  }
}
