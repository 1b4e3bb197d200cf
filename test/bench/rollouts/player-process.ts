// The lab with all its nodes, in one process: forked by the bench, which tells it when the servers are there.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLab } from '../../../lab/lab.ts';
import type { LabDescription } from '../../../lab/lab.ts';
import { certificatesFromPem } from '../../../runtime/pki/pem.ts';
import { createPlayedMachines } from './played-machines.ts';

export interface PlayOrder {
  readonly address: string;
  readonly port: number;
  readonly bundlePem: string;
  readonly versionAfter: string;
}

export interface PlayerState {
  readonly lab: LabDescription;
  readonly attested: number;
  readonly changed: number;
  readonly failures: readonly string[];
  /** Bytes. */
  readonly rss: number;
}

const stateDirectory = mkdtempSync(join(tmpdir(), 'bench-lab-'));
const machines = createPlayedMachines();
const lab = await startLab({
  stateDirectory,
  port: 0,
  clock: Date.now,
  log: (line) => process.stderr.write(`${line}\n`),
  machines,
});

/** Every message is answered with how far it is. */
process.on('message', (order: PlayOrder | 'state') => {
  if (order !== 'state') {
    const { address, port, bundlePem, versionAfter } = order;
    machines.play({ address, port, roots: certificatesFromPem(bundlePem) }, versionAfter);
  }
  const { attested, changed, failures } = machines.counts();
  const state: PlayerState = {
    lab: lab.description,
    attested,
    changed,
    failures: failures.slice(0, 5),
    rss: process.memoryUsage.rss(),
  };
  process.send?.(state);
});
process.once('disconnect', () => {
  void lab.close().finally(() => {
    rmSync(stateDirectory, { recursive: true, force: true });
    process.exit(0);
  });
});
process.send?.('ready');
