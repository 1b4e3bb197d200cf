// What goes wrong on purpose, for the people in front of the computer: each kind of fault is a file beside this one and a row here. `POST /faults/<kind>`
// makes one or takes it back and answers like `GET /faults`, which lists them all by their kind.
import type { LabContext } from '../context.ts';
import { GcpError } from '../gcp/errors.ts';
import type { Body } from '../gcp/fields.ts';
import type { LabRequest, LabResponse } from '../http.ts';
import { json } from '../http.ts';
import { linkFaults } from './links.ts';
import { programFaults } from './programs.ts';

export interface FaultKind {
  /** Refuses by a GcpError what it cannot do. */
  change(context: LabContext, body: Body): void | Promise<void>;
  /** What is wrong now, in JSON. */
  list(context: LabContext): readonly object[];
}

const kinds: Readonly<Record<string, FaultKind>> = {
  links: linkFaults,
  programs: programFaults,
};

/** For the lab's owner, whom the caller has made sure of. */
export async function answerFaults(context: LabContext, request: LabRequest): Promise<LabResponse> {
  if (request.method === 'GET' && request.path === '/faults') return json(200, listFaults(context));
  const name = request.path.slice('/faults/'.length);
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (request.method !== 'POST' || kind === undefined)
    throw new GcpError(
      'NOT_FOUND',
      `${request.method} ${request.path}: there are GET /faults and POST /faults/${Object.keys(kinds).join('|')}`,
    );
  await kind.change(context, readBody(request));
  return json(200, listFaults(context));
}

function listFaults(context: LabContext): Readonly<Record<string, readonly object[]>> {
  return Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [name, kind.list(context)]));
}

function readBody({ body }: LabRequest): Body {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new GcpError('INVALID_ARGUMENT', 'the body is not JSON');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body;
  throw new GcpError('INVALID_ARGUMENT', 'the body must be an object');
}
