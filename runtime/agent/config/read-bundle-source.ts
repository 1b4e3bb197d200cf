// Which of the configuration's ways to the first trust bundle is to be taken: one, and only one.
import type { HclReader } from '../../hcl/reader.ts';
import { bundleFormats } from '../node/bootstrap-bundle.ts';
import type { BundleSource } from '../node/bootstrap-bundle.ts';

export function readBundleSource(agent: HclReader): BundleSource {
  const format = agent.parsed('trust_bundle_format', parseFormat) ?? 'pem';
  const insecure = agent.optionalBoolean('insecure_bootstrap') === true;
  const path = nonEmpty(agent.optionalString('trust_bundle_path'));
  const url = nonEmpty(agent.optionalString('trust_bundle_url'));
  for (const key of ['trust_bundle_unix_socket', 'trust_bundle_spiffe_workload_api']) {
    if (nonEmpty(agent.optionalString(key)) !== undefined) agent.fault(key, 'not supported');
  }

  const given = Object.entries({ insecure_bootstrap: insecure, trust_bundle_path: path, trust_bundle_url: url })
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([key]) => key);
  if (given.length === 0) {
    agent.fault(
      'trust_bundle_path',
      'trust_bundle_path or trust_bundle_url must be configured unless insecure_bootstrap is set',
    );
  }
  if (given.length > 1) agent.fault(given.join(', '), 'only one of them can be specified');
  if (url !== undefined && !url.startsWith('https://')) agent.fault('trust_bundle_url', 'must start with https://');

  if (path !== undefined) return { kind: 'path', path, format };
  if (url !== undefined) return { kind: 'url', url, format };
  return { kind: 'insecure' };
}

function parseFormat(text: string) {
  const format = bundleFormats.find((known) => known === text);
  if (format === undefined) throw new Error('invalid value for trust_bundle_format, expected "pem" or "spiffe"');
  return format;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
