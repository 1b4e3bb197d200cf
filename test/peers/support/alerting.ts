// Alerts from end to end: a real Prometheus with the rules as they are shipped, but for how long each waits, a real Alertmanager, and our receiver, which starts
// runbooks on a Temporal server.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, freePort, start } from './processes.ts';
import type { preparePrometheus } from './programs.ts';
import { root } from './programs.ts';
import type { Stage } from './stage.ts';

export const rulesFile = join(root, 'deploy/prometheus/alerts.yaml');
const secret = 'what-alertmanager-and-we-share';

export interface AlertingOptions {
  readonly programs: Awaited<ReturnType<typeof preparePrometheus>>;
  readonly trustDomain: string;
  /** What the runbooks look at. */
  readonly topologyFile: string;
  /** The Temporal server's address. */
  readonly temporal: string;
}

/** What Prometheus reads of a server, with the labels that the rules want. */
export interface Target {
  readonly tier: string;
  readonly server: string;
  readonly port: number;
}

/** Returns Prometheus' address, once it reads every target. */
export async function startAlerting(
  stage: Stage,
  { programs, trustDomain, topologyFile, temporal }: AlertingOptions,
  targets: readonly Target[],
): Promise<string> {
  const directory = join(stage.directory, 'alerting');
  mkdirSync(directory);
  const file = (name: string, text: string, mode = 0o644): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode });
    return path;
  };
  const run = (command: string, name: string, flags: readonly string[], env: Record<string, string> = {}): void =>
    void stage.add(start(command, flags, { logPath: join(directory, `${name}.log`), env }));
  const [receiverPort, alertmanagerPort, prometheusPort] = [await freePort(), await freePort(), await freePort()];

  const secretFile = file('secret', secret, 0o600);
  chmodSync(secretFile, 0o600);
  const listen = ['--listen', `127.0.0.1:${receiverPort}`, '--secret-file', secretFile, '--topology', topologyFile];
  run(join(root, 'bin/espalier'), 'receiver', ['alerts', ...listen], { TEMPORAL_ADDRESS: temporal });

  const route = `route: { receiver: espalier, group_by: ['...'], group_wait: 1s, group_interval: 2s, repeat_interval: 1h }`;
  const webhook = `url: "http://127.0.0.1:${receiverPort}/alerts", http_config: { authorization: { credentials_file: "${secretFile}" } }`;
  const receivers = `receivers: [{ name: espalier, webhook_configs: [{ ${webhook}, send_resolved: true }] }]`;
  run(programs.alertmanager, 'alertmanager', [
    `--config.file=${file('alertmanager.yaml', `${route}\n${receivers}\n`)}`,
    `--web.listen-address=127.0.0.1:${alertmanagerPort}`,
    `--storage.path=${join(directory, 'am')}`,
    '--cluster.listen-address=',
  ]);

  const rules = file('alerts.yaml', readFileSync(rulesFile, 'utf8').replaceAll(/for: \d+m/g, 'for: 2s'));
  const scraped = targets.map(
    ({ tier, server, port }) =>
      `{ targets: ["127.0.0.1:${port}"], labels: { trust_domain: ${trustDomain}, tier: ${tier}, server: ${server} } }`,
  );
  const settings = [
    'global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }',
    `rule_files: ["${rules}"]`,
    `alerting: { alertmanagers: [{ static_configs: [{ targets: ["127.0.0.1:${alertmanagerPort}"] }] }] }`,
    `scrape_configs: [{ job_name: spire-server, static_configs: [${scraped.join(', ')}] }]`,
    '',
  ];
  run(programs.prometheus, 'prometheus', [
    `--config.file=${file('prometheus.yaml', settings.join('\n'))}`,
    `--web.listen-address=127.0.0.1:${prometheusPort}`,
    `--storage.tsdb.path=${join(directory, 'tsdb')}`,
  ]);
  const prometheus = `http://127.0.0.1:${prometheusPort}`;
  await eventually('Prometheus reads every server', async () => {
    const response = await fetch(`${prometheus}/api/v1/query?query=sum(up)`);
    if (!(await response.text()).includes(`"${targets.length}"`)) throw new Error('not yet');
  });
  return prometheus;
}
