// The helper itself: fetches what the configuration names and writes it, once, or again at every change for as long as it runs.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../log.ts';
import { RpcError, statusCode } from '../rpc/status.ts';
import { follow } from '../workloadapi/follow.ts';
import { createJwtSource } from '../workloadapi/jwt-source.ts';
import type { JwtSource } from '../workloadapi/jwt-source.ts';
import type { WorkloadApi } from '../workloadapi/workload-api.ts';
import type { X509Context } from '../workloadapi/x509-context.ts';
import type { HelperConfig, JwtFile } from './config.ts';
import { replaceFiles } from './files.ts';
import { jwtBundleOutput, jwtOutput, x509Outputs } from './outputs.ts';
import { signalPidFile, superviseCommand } from './process.ts';
import { createStatus, listenForProbes } from './status.ts';
import type { HelperStatus } from './status.ts';

export interface HelperOptions {
  readonly config: HelperConfig;
  readonly api: WorkloadApi;
  readonly clock: () => number;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Where probes are answered: all addresses of the machine where absent. */
  readonly probeHost?: string;
}

interface Work extends HelperOptions {
  readonly status: HelperStatus;
}

/** Resolves when everything is written, or, as a daemon, when the signal is aborted. */
export async function runHelper(options: HelperOptions): Promise<void> {
  const work: Work = { ...options, status: createStatus(options.config) };
  for (const warning of options.config.warnings) options.log.warn(warning);
  await (options.config.daemon ? runDaemon(work) : runOnce(work));
}

async function runOnce(work: Work): Promise<void> {
  const { config, api, signal } = work;
  if (config.x509 !== undefined) {
    const context = await patiently(() => firstOf(api.fetchX509Svid({ signal })), signal);
    await writeX509(work, context);
  }
  if (config.jwtBundle !== undefined) {
    const bundles = await patiently(() => firstOf(api.fetchJwtBundles({ signal })), signal);
    await replaceFiles(config.certDir, [jwtBundleOutput(bundles, config.jwtBundle, config)]);
  }
  for (const file of config.jwtSvids) {
    const svids = await patiently(() => api.fetchJwtSvid({ audience: file.audience }, { signal }), signal);
    await replaceFiles(config.certDir, [jwtOutput(svids, file.name, config)]);
  }
}

async function runDaemon(work: Work): Promise<void> {
  const { config, api, log, signal, status, probeHost } = work;
  const probes =
    config.health === undefined
      ? undefined
      : await listenForProbes({ ...config.health, ...(probeHost === undefined ? {} : { host: probeHost }) }, status);
  const command = config.command === undefined ? undefined : superviseCommand(config.command, { ...config, log });
  const tasks: Promise<void>[] = [];
  if (config.x509 !== undefined) {
    const update = async (context: X509Context): Promise<void> => {
      if (
        !(await attempt(
          work,
          'X.509 files',
          () => writeX509(work, context),
          (state) => status.x509(state),
        ))
      )
        return;
      await tell(work, () => command?.renew());
    };
    tasks.push(follow({ open: (ended) => api.fetchX509Svid({ signal: ended }), update, signal, log }));
  }
  const { jwtBundle } = config;
  if (jwtBundle !== undefined) {
    const update = (bundles: Parameters<typeof jwtBundleOutput>[0]): Promise<boolean> =>
      attempt(
        work,
        jwtBundle,
        () => replaceFiles(config.certDir, [jwtBundleOutput(bundles, jwtBundle, config)]),
        (state) => status.jwt(jwtBundle, state),
      );
    tasks.push(follow({ open: (ended) => api.fetchJwtBundles({ signal: ended }), update, signal, log }));
  }
  if (config.jwtSvids.length > 0) tasks.push(keepTokens(work));
  await Promise.all(tasks);
  await command?.stop();
  probes?.close();
}

async function writeX509({ config, clock, log }: Work, context: X509Context): Promise<void> {
  if (config.x509 === undefined) return;
  await replaceFiles(config.certDir, x509Outputs(context, config.x509, config, clock()));
  for (const { id, expiresAt } of context.svids) {
    log.info({ spiffe_id: id.toString(), expires_at: new Date(expiresAt).toISOString() }, 'Received update');
  }
}

/** What failed is said and shown to probes; the next update may mend it. */
async function attempt(
  { log }: Work,
  what: string,
  act: () => Promise<void>,
  note: (status: 'written' | 'failed') => void,
): Promise<boolean> {
  try {
    await act();
    note('written');
    log.info(`${what} updated`);
    return true;
  } catch (error) {
    note('failed');
    log.error({ err: error }, `${what} not updated`);
    return false;
  }
}

async function tell({ config, log, signal }: Work, renew: () => Promise<void> | undefined): Promise<void> {
  const report = (error: unknown): void => log.error({ err: error }, 'Unable to signal process');
  await renew()?.catch(report);
  const { pidFile, renewSignal } = config;
  if (pidFile === undefined || renewSignal === undefined) return;
  await signalPidFile(pidFile, renewSignal, signal).catch((error: unknown) => {
    if (!signal.aborted) report(error);
  });
}

async function keepTokens(work: Work): Promise<void> {
  const { config, api, log, clock, signal } = work;
  let source: JwtSource;
  try {
    source = await createJwtSource({ api, log, clock, signal });
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  await Promise.all(config.jwtSvids.map((file) => keepToken(work, source, file)));
  source.close();
}

const retryMs = { first: 1_000, longest: 60_000 };

/** Renews the token at half of its life. */
async function keepToken(work: Work, source: JwtSource, file: JwtFile): Promise<void> {
  const { config, clock, signal, status } = work;
  let retryInMs = retryMs.first;
  while (!signal.aborted) {
    let waitMs = retryInMs;
    const write = async (): Promise<void> => {
      const svids = await source.fetch({ audience: file.audience }, { signal });
      const output = jwtOutput(svids, file.name, config);
      const { expiresAt } = source.validate({ token: output.content, audience: file.audience[0] });
      await replaceFiles(config.certDir, [output]);
      waitMs = (expiresAt - clock()) / 2 + 1_000;
    };
    const written = await attempt(work, `JWT-SVID ${file.name}`, write, (state) => status.jwt(file.name, state));
    retryInMs = written ? retryMs.first : Math.min(retryInMs * 2, retryMs.longest);
    await delay(Math.max(waitMs, 0), undefined, { signal }).catch(() => undefined); // aborted: the loop sees it
  }
}

const patience = { attempts: 10, firstMs: 10, longestMs: 5_000 };

/** A workload that was just registered is refused for a moment. */
async function patiently<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempts = 1, waitMs = patience.firstMs; ; attempts += 1, waitMs *= 5) {
    try {
      return await act();
    } catch (error) {
      const isRefused = error instanceof RpcError && error.code === statusCode.PERMISSION_DENIED;
      if (!isRefused || attempts === patience.attempts) throw error;
      await delay(Math.min(waitMs, patience.longestMs), undefined, { signal });
    }
  }
}

async function firstOf<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const value of stream) return value;
  throw new Error('the Workload API ended its answer before it began');
}
