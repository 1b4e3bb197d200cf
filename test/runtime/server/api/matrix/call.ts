// One call with an empty request, as a line: `OK`, or code, message and the reason in its details.
import {
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../../../../proto/gen/spire/api/types/status.ts';
import { createClient } from '../../../../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../../../../runtime/rpc/client.ts';
import type { MethodDefinition } from '../../../../../runtime/rpc/service.ts';
import { RpcError, statusName } from '../../../../../runtime/rpc/status.ts';

type AnyMethod = (request: unknown, options: { signal: AbortSignal }) => Promise<unknown> | AsyncIterable<unknown>;

export async function outcomeOf(channel: RpcChannel, definition: MethodDefinition): Promise<string> {
  const call = createClient({ method: definition }, channel).method as unknown as AnyMethod;
  const empty = definition.requestDeserialize(Buffer.alloc(0));
  const request = definition.requestStream ? one(empty) : empty;
  try {
    const answer = call(request, { signal: AbortSignal.timeout(20_000) });
    if (!definition.responseStream) await answer;
    else await firstOf(answer as AsyncIterable<unknown>);
    return 'OK';
  } catch (error) {
    if (error instanceof RpcError) return textOf(error);
    throw error;
  }
}

function textOf({ code, message, details }: RpcError): string {
  const reasons = details.map(({ value }) => ` (${reasonName(PermissionDeniedDetails.decode(value).reason)})`);
  return `${statusName(code)} ${message}${reasons.join('')}`;
}

export function reasonName(reason: Reason): string {
  return Object.entries(Reason).find(([, number]) => number === reason)?.[0] ?? String(reason);
}

async function* one<T>(value: T): AsyncGenerator<T> {
  yield value;
}

/** A stream that watches does not end by itself. */
async function firstOf(answers: AsyncIterable<unknown>): Promise<void> {
  for await (const answer of answers) {
    if (answer === undefined) throw new Error('an empty answer');
    return;
  }
}
