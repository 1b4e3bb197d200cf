// Which of the configuration's ways to the first trust bundle is to be taken: one, and only one.
import { resolve } from 'node:path';
import type { HclReader } from '../../hcl/reader.ts';
import { bundleFormats } from '../node/bootstrap-bundle.ts';
import type { BundleSource } from '../node/bootstrap-bundle.ts';
import { parseEndpointAddress } from './endpoint-address.ts';

export function readBundleSource(agent: HclReader): BundleSource {
  const format = agent.parsed('trust_bundle_format', parseFormat) ?? 'pem';
  const insecure = agent.optionalBoolean('insecure_bootstrap') === true;
  const path = nonEmpty(agent.optionalString('trust_bundle_path'));
  const url = nonEmpty(agent.optionalString('trust_bundle_url'));
  const unixSocket = nonEmpty(agent.optionalString('trust_bundle_unix_socket'));
  const workloadApi = readWorkloadApi(agent);

  const ways = {
    insecure_bootstrap: insecure,
    trust_bundle_path: path,
    trust_bundle_url: url,
    trust_bundle_spiffe_workload_api: workloadApi,
  };
  const given = Object.entries(ways)
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([key]) => key);
  if (given.length === 0) {
    agent.fault(
      'trust_bundle_path',
      'trust_bundle_path, trust_bundle_url, or trust_bundle_spiffe_workload_api must be configured unless insecure_bootstrap is set',
    );
  }
  if (given.length > 1) agent.fault(given.join(', '), 'only one of them can be specified');
  if (unixSocket !== undefined) checkUnixSocket(agent, url, workloadApi);
  else if (url !== undefined && !url.startsWith('https://'))
    agent.fault('trust_bundle_url', 'must start with https://');

  if (path !== undefined) return { kind: 'path', path, format };
  if (url !== undefined && unixSocket !== undefined)
    return { kind: 'unixSocket', socketPath: resolve(unixSocket), url, format };
  if (url !== undefined) return { kind: 'url', url, format };
  if (workloadApi !== undefined) return { kind: 'workloadApi', socketPath: workloadApi };
  return { kind: 'insecure' };
}

function readWorkloadApi(agent: HclReader): string | undefined {
  return agent.parsed('trust_bundle_spiffe_workload_api', (text) => {
    if (text === '') return undefined;
    try {
      return parseEndpointAddress(text);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`is not a valid SPIFFE Workload API endpoint address, ${reason}`, { cause });
    }
  });
}

function checkUnixSocket(agent: HclReader, url: string | undefined, workloadApi: string | undefined): void {
  const key = 'trust_bundle_unix_socket';
  if (workloadApi !== undefined) agent.fault(key, 'can not be used with trust_bundle_spiffe_workload_api');
  if (url === undefined) {
    agent.fault(key, 'if trust_bundle_unix_socket is specified, so must be trust_bundle_url');
    return;
  }
  if (!url.startsWith('http://') || !URL.canParse(url)) {
    agent.fault('trust_bundle_url', 'must start with http:// when used with trust bundle unix socket');
    return;
  }
  for (const prefix of ['spiffe-', 'spire-']) {
    if ([...new URL(url).searchParams.keys()].some((name) => name.startsWith(prefix)))
      agent.fault('trust_bundle_url', `query params can not start with ${prefix}`);
  }
}

function parseFormat(text: string) {
  const format = bundleFormats.find((known) => known === text);
  if (format === undefined) throw new Error('invalid value for trust_bundle_format, expected "pem" or "spiffe"');
  return format;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
