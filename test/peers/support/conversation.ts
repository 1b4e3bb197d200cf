// A program in Go that makes the calls that it is told, question after question (test/peers/go/ask): a question may use what came back before.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Answer, Question } from './admin-session.ts';

export interface ConversationOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Before the method of every question. */
  readonly prefix: string;
}

/** Answers by the titles of their questions. */
export async function converse(
  { program, args, env = {}, prefix }: ConversationOptions,
  questions: readonly Question[],
): Promise<ReadonlyMap<string, Answer>> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'pipe' });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const answers = new Map<string, Answer>();
  const before = (title: string): Answer => answers.get(title) ?? { code: 'MISSING', message: title };
  for (const { title, method, request } of questions) {
    child.stdin.write(`${JSON.stringify({ method: `${prefix}${method}`, request: request(before) })}\n`);
    const { value, done } = (await lines.next()) as { value?: string; done?: boolean };
    if (done === true || value === undefined) throw new Error(`${program} ended at "${title}": ${said}`);
    answers.set(title, JSON.parse(value) as Answer);
  }
  child.stdin.end();
  if (child.exitCode === null) await once(child, 'close');
  return answers;
}
