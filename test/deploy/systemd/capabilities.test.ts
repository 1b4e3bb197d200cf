// What the agent's unit leaves of root's rights is what the attestor "unix" needs, and no more: measured on processes of this machine, with the bounding set of
// the unit, as systemd sets it. Needs root.
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const nobody = 65534;
const unit = readFileSync(join(root, 'deploy/systemd/spire-agent.service'), 'utf8');
const granted = (/^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1] ?? '').split(' ');

const script = `
import { createUnixAttestor } from ${JSON.stringify(join(root, 'runtime/attest/workload/unix.ts'))};
const attestor = createUnixAttestor({ discoverWorkloadPath: true, workloadSizeLimit: 0 });
const selectors = await attestor.attest(Number(process.argv[1]), { signal: AbortSignal.timeout(5000) });
process.stdout.write(selectors.map(({ value }) => value.split(':')[0]).join(' '));`;

/** The kinds of selectors that an agent with these capabilities sees of a process; or that it could see none. */
function seenWith(capabilities: readonly string[], pid: number): string {
  const names = capabilities.map((name) => `,+${name.replace('CAP_', '').toLowerCase()}`).join('');
  const rights = [`--bounding-set=-all${names}`, '--inh-caps=-all', '--no-new-privs'];
  const node = [process.execPath, '--input-type=module', '--eval', script, String(pid)];
  const { status, stdout, stderr } = spawnSync('setpriv', [...rights, ...node], { encoding: 'utf8' });
  if (status === 0) return stdout;
  expect(stderr).toMatch(/EACCES|not readable/);
  return 'nothing';
}

describe.runIf(process.getuid?.() === 0)('an agent', () => {
  const directory = mkdtempSync(join(tmpdir(), 'capabilities-'));
  const own = join(directory, 'own');
  const processes: ChildProcess[] = [];
  const pids = { root: 0, 'somebody else': 0, 'somebody else, by a program that only he may read': 0 };

  const sleep = (program: string, uid: number): number => {
    const child = spawn(program, ['60'], { uid, gid: uid, stdio: 'ignore' });
    processes.push(child);
    return child.pid!;
  };
  beforeAll(() => {
    chmodSync(directory, 0o755);
    copyFileSync('/bin/sleep', own);
    chownSync(own, nobody, nobody);
    chmodSync(own, 0o500);
    pids.root = sleep('/bin/sleep', 0);
    pids['somebody else'] = sleep('/bin/sleep', nobody);
    pids['somebody else, by a program that only he may read'] = sleep(own, nobody);
  });
  afterAll(() => {
    for (const child of processes) child.kill();
    rmSync(directory, { recursive: true });
  });

  it.each(Object.keys(pids) as (keyof typeof pids)[])('with the unit’s rights knows a process of %s', (who) => {
    expect(seenWith(granted, pids[who])).toMatch(/^uid.* path sha256$/);
  });

  it.each<[string, keyof typeof pids]>([
    ['CAP_SYS_PTRACE', 'root'],
    ['CAP_SYS_PTRACE', 'somebody else'],
    ['CAP_DAC_READ_SEARCH', 'somebody else, by a program that only he may read'],
  ])('without %s does not know a process of %s', (missing, who) => {
    expect(granted).toContain(missing);
    expect(
      seenWith(
        granted.filter((name) => name !== missing),
        pids[who],
      ),
    ).toBe('nothing');
  });
});
