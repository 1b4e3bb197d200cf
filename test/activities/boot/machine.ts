// A machine for boot scripts to run on: a directory, with stand-ins for what is not ours, which note how they were called.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { artifact } from './boots.ts';

export interface Machine {
  readonly root: string;
  /** Runs a script as the instance does; throws with what it said when it fails. Returns its console. */
  boot(script: string): string;
  /** The same without judging how it ended. */
  run(script: string): { readonly status: number | null; readonly said: string };
  /** A file under the root; fails when it is not there. */
  read(path: string): string;
  exists(path: string): boolean;
  /** Calls of `systemctl`, `espalier-node` and `node`, each as its words. */
  calls(program: string): string[][];
  remove(): void;
}

/** Its words come one a line, each call after an empty one: words may hold spaces, none holds a line's end. */
const noting = (name: string, then = ''): string =>
  `#!/bin/sh\n{ echo; for word in "$@"; do printf '%s\\n' "$word"; done; } >> "$CALLS/${name}"\n${then}\n`;

export function createMachine(): Machine {
  const root = mkdtempSync(join(tmpdir(), "espalier boot's "));
  const here = join(root, 'opt/espalier', artifact.sha256);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, 0o755);
  };
  write(join(root, 'bin/systemctl'), noting('systemctl'));
  write(join(here, 'bin/espalier-node'), noting('espalier-node', '[ "$1" != address ] || echo 127.77.1.9'));
  write(join(here, 'node/bin/node'), noting('node'));
  // Healthy, unless its configuration names a server that is not there.
  write(join(here, 'bin/spire-agent'), `#!/bin/sh\n! grep -q nowhere "$ESPALIER_ROOT/etc/spire/agent/agent.conf"\n`);
  write(join(root, 'bin/sleep'), '#!/bin/sh\n'); // nobody waits for what is not there
  write(join(here, '.complete'), ''); // unpacked before: these tests are about what comes after
  mkdirSync(join(root, 'calls'));

  const perform = (script: string) => {
    const env = {
      PATH: `${join(root, 'bin')}:/usr/bin:/bin`,
      CALLS: join(root, 'calls'),
      ESPALIER_ROOT: root,
      ESPALIER_RUN: join(root, 'run'),
      ESPALIER_IMAGE: join(root, 'image'),
    };
    return spawnSync('sh', [], { input: script, env, encoding: 'utf8', cwd: root });
  };

  return {
    root,
    boot(script) {
      const { status, stdout, stderr } = perform(script);
      if (status !== 0) throw new Error(`boot script ended with ${String(status)}: ${stderr}${stdout}`);
      return stdout;
    },
    run(script) {
      const { status, stdout, stderr } = perform(script);
      return { status, said: `${stderr}${stdout}` };
    },
    read: (path) => readFileSync(join(root, path), 'utf8'),
    exists: (path) => existsSync(join(root, path)),
    calls(program) {
      const file = join(root, 'calls', program);
      if (!existsSync(file)) return [];
      return readFileSync(file, 'utf8')
        .split('\n\n')
        .map((call) => call.split('\n').filter((word) => word !== ''));
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
