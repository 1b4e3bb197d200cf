// Where requests to Google's services arrive: one table of routes, the bearer token first.
import type { LabContext } from '../context.ts';
import type { LabRequest, LabResponse } from '../http.ts';
import { json } from '../http.ts';
import { firewallRoutes } from './compute-firewalls.ts';
import { instanceRoutes } from './compute-instances.ts';
import { operationRoutes } from './compute-operations.ts';
import { GcpError } from './errors.ts';
import { authenticate } from './principals.ts';
import type { GcpPrincipal } from './principals.ts';
import { projectRoutes } from './projects.ts';
import { secretRoutes } from './secret-manager.ts';
import { serviceAccountRoutes } from './service-accounts.ts';
import { certificates, jwkSet } from './signer.ts';
import { project } from './state.ts';

export interface GcpCall {
  readonly context: LabContext;
  readonly principal: GcpPrincipal;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  /** A part of the path, by its name in the route. */
  readonly part: (name: string) => string;
}

/** `POST /v1/projects/{project}/secrets/{secret}:addVersion`; `{project}` must be the lab's. */
export interface Route {
  readonly route: string;
  readonly answer: (call: GcpCall) => unknown;
}

const compiled = [
  ...instanceRoutes,
  ...operationRoutes,
  ...firewallRoutes,
  ...serviceAccountRoutes,
  ...projectRoutes,
  ...secretRoutes,
].map(({ route, answer }) => {
  const [method = '', path = ''] = route.split(' ');
  const source = path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{(\w+)\}/g, '(?<$1>[^/:]+)');
  return { method, pattern: new RegExp(`^${source}$`), answer };
});

const certificateHeaders = { 'cache-control': 'public, max-age=3600, must-revalidate, no-transform' };

export async function answerGcp(context: LabContext, request: LabRequest): Promise<LabResponse> {
  if (request.path === '/oauth2/v1/certs') return json(200, certificates(context), certificateHeaders);
  if (request.path === '/oauth2/v3/certs') return json(200, jwkSet(context), certificateHeaders);
  try {
    const principal = authenticate(context, request);
    return json(200, await answer(context, principal, request));
  } catch (cause) {
    if (cause instanceof GcpError) return cause.toResponse();
    throw cause;
  }
}

async function answer(context: LabContext, principal: GcpPrincipal, request: LabRequest): Promise<unknown> {
  const path = decodePath(request.path);
  for (const { method, pattern, answer: perform } of compiled) {
    const match = method === request.method ? pattern.exec(path) : null;
    if (match === null) continue;
    const parts = match.groups ?? {};
    // Both names of the project will do; service accounts may be asked for without one.
    const asked = parts['project'];
    if (asked !== undefined && asked !== project && asked !== '-')
      throw new GcpError('PERMISSION_DENIED', `permission denied on project ${asked}`);
    const part = (name: string) => {
      const value = parts[name];
      if (value === undefined) throw new Error(`route ${pattern.source} has no part ${name}`);
      return value;
    };
    return perform({ context, principal, query: request.query, body: parseBody(request.body), part });
  }
  throw new GcpError('NOT_FOUND', `the lab has nothing at ${request.method} ${request.path}`);
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new GcpError('INVALID_ARGUMENT', 'the path is not percent-encoded UTF-8');
  }
}

function parseBody(body: Buffer): Readonly<Record<string, unknown>> {
  if (body.length === 0) return {};
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    // Google's own client sends an empty string where there is no body.
    if (value === '') return {};
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Refused below, like any other body that is not an object.
  }
  throw new GcpError('INVALID_ARGUMENT', 'Invalid JSON payload received.');
}
