import { describe, expect, it } from 'vitest';
import { expose } from '../../../runtime/telemetry/exposition.ts';
import { createRegistry, sanitize } from '../../../runtime/telemetry/registry.ts';
import type { RegistryOptions } from '../../../runtime/telemetry/registry.ts';

function create(options: Partial<RegistryOptions> = {}) {
  let time = 1_000;
  const registry = createRegistry({ prefix: 'spire_server', now: () => time, ...options });
  return { registry, pass: (ms: number) => (time += ms) };
}

describe('a registry', () => {
  it('shows counters, gauges and samples as Prometheus reads them, in order of their names', () => {
    const { registry } = create({ labels: { host: 'a' } });
    registry.gauge(['uptime_in_ms']).set(1.5);
    const calls = registry.counter(['rpc', 'x'], { status: 'OK' });
    calls.add();
    calls.add(2);
    const sample = registry.sample(['rpc', 'x', 'elapsed_time'], { status: 'OK' });
    for (const value of [4, 1, 3, 2]) sample.observe(value);
    expect(expose(registry)).toBe(
      [
        '# HELP spire_server_rpc_x spire_server_rpc_x',
        '# TYPE spire_server_rpc_x counter',
        'spire_server_rpc_x{host="a",status="OK"} 3',
        '# HELP spire_server_rpc_x_elapsed_time spire_server_rpc_x_elapsed_time',
        '# TYPE spire_server_rpc_x_elapsed_time summary',
        'spire_server_rpc_x_elapsed_time{host="a",status="OK",quantile="0.5"} 2',
        'spire_server_rpc_x_elapsed_time{host="a",status="OK",quantile="0.9"} 4',
        'spire_server_rpc_x_elapsed_time{host="a",status="OK",quantile="0.99"} 4',
        'spire_server_rpc_x_elapsed_time_sum{host="a",status="OK"} 10',
        'spire_server_rpc_x_elapsed_time_count{host="a",status="OK"} 4',
        '# HELP spire_server_uptime_in_ms spire_server_uptime_in_ms',
        '# TYPE spire_server_uptime_in_ms gauge',
        'spire_server_uptime_in_ms{host="a"} 1.5',
        '',
      ].join('\n'),
    );
  });

  it('gives the same series for the same key and labels, and another for other labels', () => {
    const { registry } = create();
    const series = registry.counter(['a'], { b: '1', c: '2' });
    expect(registry.counter(['a'], { c: '2', b: '1' })).toBe(series);
    expect(registry.counter(['a'], { b: '1' })).not.toBe(series);
  });

  it('refuses to be asked for a name as two kinds of metric', () => {
    const { registry } = create();
    registry.counter(['sds_api', 'connections']);
    expect(() => registry.gauge(['sds_api_connections'])).toThrow(
      'metric spire_server_sds_api_connections is a counter, not a gauge',
    );
  });

  it('does not show a gauge that was never set, and shows a counter that never counted as zero', () => {
    const { registry } = create();
    registry.gauge(['a']);
    registry.counter(['b']);
    expect(expose(registry)).toBe(
      '# HELP spire_server_b spire_server_b\n# TYPE spire_server_b counter\nspire_server_b 0\n',
    );
  });

  it('forgets values for its quantiles after ten seconds, and for sum and count never', () => {
    const { registry, pass } = create();
    const sample = registry.sample(['a']);
    sample.observe(7);
    pass(10_001);
    expect(expose(registry)).toContain('spire_server_a{quantile="0.5"} NaN\n');
    expect(expose(registry)).toContain('spire_server_a_sum 7\nspire_server_a_count 1\n');
  });

  it('makes quantiles of the latest values where there are more than it keeps', () => {
    const { registry } = create();
    const sample = registry.sample(['a']);
    for (let value = 0; value < 1_000; value += 1) sample.observe(value);
    const median = /quantile="0.5"} (\d+)/.exec(expose(registry))?.[1];
    expect(Number(median)).toBe(1_000 - 128 - 1);
  });

  it('looks at what is so whenever it is read', () => {
    const { registry } = create();
    let size = 1;
    const gauge = registry.gauge(['size']);
    registry.onRead(() => gauge.set(size));
    expect(expose(registry)).toContain('spire_server_size 1\n');
    size = 2;
    expect(expose(registry)).toContain('spire_server_size 2\n');
  });

  it('writes labels as SPIRE does, and escapes what its own labels hold', () => {
    const { registry } = create({ labels: { host: 'a"b\\c\nd' } });
    registry.gauge(['started'], { trust_domain_id: 'example.org', version: '1.15.3-x' }).set(1);
    expect(expose(registry)).toContain(
      'spire_server_started{host="a\\"b\\\\c\\nd",trust_domain_id="example_org",version="1_15_3_x"} 1\n',
    );
  });

  it.for([
    ['spiffe://example.org/a_b', 'spiffe_example_org_a_b'],
    ['a--_b', 'a_b'],
    ['1.15.3', '1_15_3'],
    ['plain_1', 'plain_1'],
  ] as const)('writes %s as %s', ([text, written]) => {
    expect(sanitize({ [text]: text })).toEqual({ [written]: written });
  });
});

describe('the filters', () => {
  const names = (options: Partial<RegistryOptions>): string[] => {
    const { registry } = create(options);
    for (const key of ['rpc.a', 'rpc.b', 'datastore.c'])
      registry.counter(key.split('.'), { status: 'OK', x: 'y' }).add();
    return [...expose(registry).matchAll(/^spire\S+/gm)].map(([text]) => text);
  };

  it('block by prefix, and let a longer allowed prefix through', () => {
    expect(names({ blockedPrefixes: ['spire_server.rpc'], allowedPrefixes: ['spire_server.rpc.b'] })).toEqual([
      'spire_server_datastore_c{status="OK",x="y"}',
      'spire_server_rpc_b{status="OK",x="y"}',
    ]);
  });

  it('show what no prefix begins even where some are allowed', () => {
    expect(names({ allowedPrefixes: ['spire_server.rpc.b'] })).toHaveLength(3);
  });

  it('drop blocked labels, and all but the allowed ones', () => {
    expect(names({ blockedLabels: ['x'] })[0]).toBe('spire_server_datastore_c{status="OK"}');
    expect(names({ allowedLabels: ['x'] })[0]).toBe('spire_server_datastore_c{x="y"}');
    expect(names({ allowedLabels: [] })[0]).toBe('spire_server_datastore_c');
    expect(names({ allowedLabels: ['x'], blockedLabels: ['x'] })[0]).toBe('spire_server_datastore_c');
  });

  it('count together what differs only in labels that are not shown', () => {
    const { registry } = create({ blockedLabels: ['status'] });
    registry.counter(['a'], { status: 'OK' }).add();
    registry.counter(['a'], { status: 'Internal' }).add();
    expect(expose(registry)).toContain('spire_server_a 2\n');
  });

  it('do not stop whoever counts what is not shown', () => {
    const { registry } = create({ blockedPrefixes: ['spire_server.a'] });
    registry.counter(['a']).add();
    registry.sample(['a', 'b']).observe(1);
    expect(expose(registry)).toBe('');
  });
});
