// Profiles of this process for its operator, on loopback only: `/debug/pprof/profile?seconds=30` for CPU, `/debug/pprof/heap` for memory. The paths are
// those of SPIRE, the files are V8's (Chrome's developer tools read them), not Go's.
import { Session } from 'node:inspector/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../log.ts';

export interface ProfilingListener {
  readonly port: number;
  close(): void;
}

const defaultSeconds = 30;
const maxSeconds = 300;

export async function listenForProfiling({ port, log }: { port: number; log: Logger }): Promise<ProfilingListener> {
  let busy = false;
  const server = createServer({ headersTimeout: 10_000 }, (request, response) => {
    const answer = (status: number, body: string): void => {
      response.writeHead(status, { 'content-type': status === 200 ? 'application/json' : 'text/plain' }).end(body);
    };
    const url = new URL(request.url ?? '/', 'http://localhost');
    const take = profileOf(url);
    // A page in a browser on this machine has another Host header: no web site is to see our memory.
    if (!/^(?:localhost|127\.0\.0\.1)(?::\d+)?$/.test(request.headers.host ?? '')) {
      answer(403, 'ask by the name localhost\n');
    } else if (request.method !== 'GET' || take === undefined) answer(404, 'no such profile\n');
    else if (typeof take === 'string') answer(400, `${take}\n`);
    else if (busy) answer(503, 'another profile is being taken\n');
    else {
      busy = true;
      take()
        .then((profile) => answer(200, JSON.stringify(profile)))
        .catch((error: unknown) => {
          log.warn({ err: error }, 'Failed to take a profile');
          answer(500, 'failed\n');
        })
        .finally(() => (busy = false));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port }, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  log.info({ address: `127.0.0.1:${bound}` }, 'Serving profiles');
  return { port: bound, close: () => server.close().closeAllConnections() };
}

/** What to do for the URL; a text says what is wrong with it. */
function profileOf(url: URL): (() => Promise<unknown>) | string | undefined {
  const take = profiles.get(url.pathname);
  if (take === undefined) return undefined;
  const seconds = Number(url.searchParams.get('seconds') ?? defaultSeconds);
  if (!(seconds > 0 && seconds <= maxSeconds)) return `seconds must be above 0 and at most ${maxSeconds}`;
  return () => withSession((session) => take(session, seconds * 1000));
}

type Take = (session: Session, ms: number) => Promise<unknown>;

/** Of memory a sample of what was allocated meanwhile and is alive, not a snapshot: functions and sizes, none of the values, which would hold keys. */
const profiles: ReadonlyMap<string, Take> = new Map<string, Take>([
  [
    '/debug/pprof/profile',
    async (session, ms) => {
      await session.post('Profiler.enable');
      await session.post('Profiler.start');
      await sleep(ms);
      return (await session.post('Profiler.stop')).profile;
    },
  ],
  [
    '/debug/pprof/heap',
    async (session, ms) => {
      await session.post('HeapProfiler.enable');
      await session.post('HeapProfiler.startSampling', { samplingInterval: 16_384 });
      await sleep(ms);
      return (await session.post('HeapProfiler.stopSampling')).profile;
    },
  ],
]);

async function withSession<T>(act: (session: Session) => Promise<T>): Promise<T> {
  const session = new Session();
  session.connect();
  try {
    return await act(session);
  } finally {
    session.disconnect();
  }
}
