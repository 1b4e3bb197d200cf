import { describe, expect, it } from 'vitest';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { createHclReader } from '../../../runtime/hcl/reader.ts';
import { noTelemetry, readTelemetry } from '../../../runtime/telemetry/config.ts';

function read(text: string) {
  const reader = createHclReader(parseHcl(text));
  const config = readTelemetry(reader);
  return { config, faults: reader.faults().map(({ place, message }) => `${place}: ${message}`) };
}

const inPrometheus = (text: string) => `telemetry { Prometheus { port = 9988 ${text} } }`;

describe('the telemetry section', () => {
  it('is not needed', () => {
    expect(read('')).toEqual({ config: noTelemetry, faults: [] });
  });

  it('has SPIRE’s keys', () => {
    const { config, faults } = read(`
      telemetry {
        Prometheus { host = "127.0.0.1" port = 9988 }
        MetricPrefix = "spire"
        EnableTrustDomainLabel = true
        EnableHostnameLabel = false
        AllowedPrefixes = ["a"]
        BlockedPrefixes = ["b"]
        AllowedLabels = []
        BlockedLabels = ["c"]
        InMem {}
      }`);
    expect(faults).toEqual([]);
    expect(config).toEqual({
      prometheus: { host: '127.0.0.1', port: 9988, authorizedIds: [] },
      prefix: 'spire',
      trustDomainLabel: true,
      hostnameLabel: false,
      allowedPrefixes: ['a'],
      blockedPrefixes: ['b'],
      allowedLabels: [],
      blockedLabels: ['c'],
      ignored: ['telemetry.InMem'],
    });
  });

  it('listens on localhost where nothing is said', () => {
    expect(read('telemetry { Prometheus { port = 1 } }').config.prometheus).toEqual({
      host: 'localhost',
      port: 1,
      authorizedIds: [],
    });
  });

  it('takes certificate files, with or without a CA for clients, or the SVID', () => {
    const tlsOf = (text: string) => read(inPrometheus(`tls { ${text} }`)).config.prometheus?.tls;
    expect(tlsOf('cert_file = "c" key_file = "k"')).toEqual({ kind: 'files', certFile: 'c', keyFile: 'k' });
    expect(tlsOf('cert_file = "c" key_file = "k" client_ca_file = "ca"')).toEqual({
      kind: 'files',
      certFile: 'c',
      keyFile: 'k',
      clientCaFile: 'ca',
    });
    expect(tlsOf('use_spire_svid = true')).toEqual({ kind: 'svid' });
  });

  it.for([
    [
      'telemetry { Statsd = [{ address = "localhost:1" }] }',
      'telemetry.Statsd: not supported: metrics are read from Prometheus',
    ],
    [
      'telemetry { DogStatsd = [{ address = "localhost:1" }] }',
      'telemetry.DogStatsd: not supported: metrics are read from Prometheus',
    ],
    [
      'telemetry { M3 = [{ address = "localhost:1" env = "prod" }] }',
      'telemetry.M3: not supported: metrics are read from Prometheus',
    ],
    ['telemetry { Prometeus { port = 1 } }', 'telemetry.Prometeus: unknown key'],
    ['telemetry { Prometheus {} }', 'telemetry.Prometheus.port: is missing'],
    ['telemetry { Prometheus { port = 65536 } }', 'telemetry.Prometheus.port: must be a port number: 65536'],
    [
      'telemetry { EnableHostnameLabel = "perhaps" }',
      'telemetry.EnableHostnameLabel: must be true or false, is "perhaps"',
    ],
    [
      inPrometheus('tls { }'),
      'telemetry.Prometheus.tls.cert_file, key_file: must both be configured unless use_spire_svid is enabled',
    ],
    [
      inPrometheus('tls { cert_file = "a" }'),
      'telemetry.Prometheus.tls.cert_file, key_file: must both be configured unless use_spire_svid is enabled',
    ],
    [
      inPrometheus('tls { use_spire_svid = true key_file = "a" }'),
      'telemetry.Prometheus.tls.cert_file, key_file: cannot be configured when use_spire_svid is enabled',
    ],
    [
      inPrometheus('tls { use_spire_svid = true client_ca_file = "a" }'),
      'telemetry.Prometheus.tls.client_ca_file: cannot be configured when use_spire_svid is enabled',
    ],
    [
      inPrometheus(
        'tls { cert_file = "a" key_file = "b" client_ca_file = "c" authorized_spiffe_ids = ["spiffe://a/b"] }',
      ),
      'telemetry.Prometheus.tls.client_ca_file: cannot be configured with authorized_spiffe_ids',
    ],
    [
      inPrometheus('tls { use_spire_svid = true authorized_spiffe_ids = ["https://a/b"] }'),
      'telemetry.Prometheus.tls.authorized_spiffe_ids: "https://a/b" is no SPIFFE ID: scheme is missing or invalid',
    ],
  ] as const)('refuses %s', ([text, fault]) => {
    expect(read(text).faults).toEqual([fault]);
  });
});
