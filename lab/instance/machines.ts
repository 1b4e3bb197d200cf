// The machines under the instances of both clouds: each a directory, an address of its own and a tree of processes. How far they are kept
// apart is decided here and nowhere else: by their addresses and directories, and with a network of the lab's own each in a namespace of it.
import { spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  appendFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Network } from './network.ts';
import { findProcesses, isAlive, killProcesses, marker, signalProcess } from './processes.ts';
import type { ProcessIdentity } from './processes.ts';
import type { MachineFile } from './supervisor.ts';

/** What an instance record keeps of its machine. */
export interface MachineRecord {
  readonly number: number;
  readonly address: string;
  readonly bootScript: string;
}

export interface MachineDirectories {
  readonly root: string;
  /** For sockets. */
  readonly run: string;
}

export interface Machines {
  /** Starts the machine, or finds it running already; keeps it running until it is stopped. */
  start(machine: MachineRecord, environment: Readonly<Record<string, string>>): Promise<void>;
  /** Ends all of its processes; its disk stays. */
  stop(machine: MachineRecord): Promise<void>;
  /** Ends all of its processes and removes its disk; its console stays until {@link forget}. */
  destroy(machine: MachineRecord): Promise<void>;
  forget(machine: MachineRecord): void;
  /** Runs a script on a machine that runs, as its administrator does. Undefined where the machine does not run. */
  run(machine: MachineRecord, script: string, timeoutMs: number): Promise<ScriptEnd | undefined>;
  readConsole(machine: MachineRecord): Buffer;
  describe(machine: MachineRecord): MachineDirectories;
  /** Stops every machine; they are started again by the next lab on the same state. */
  close(): Promise<void>;
}

export interface ScriptEnd {
  /** Undefined where its time was over. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface MachineSettings {
  readonly stateDirectory: string;
  /** For sockets: short, because Linux allows 107 bytes; emptied at each boot, like /run. */
  readonly runDirectory: string;
  readonly imageDirectory: string;
  /** Absent: machines share the computer's network. */
  readonly network?: Network | undefined;
  readonly log: (line: string) => void;
}

/** Less than the patience of who stops the lab, and more than a unit's time to end. */
const stopGrace = 7000;
const watchInterval = 1000;
/** Of a script's output; what SSM keeps. */
const largestOutput = 24_000;

export function createMachines(settings: MachineSettings): Machines {
  /** Machines that should run, and the environment they run with. */
  const running = new Map<number, { machine: MachineRecord; environment: Readonly<Record<string, string>> }>();
  const directoryOf = (machine: MachineRecord) => join(settings.stateDirectory, 'i', String(machine.number));
  const runOf = (machine: MachineRecord) => join(settings.runDirectory, String(machine.number));
  installImage(settings.imageDirectory);
  const startedAt = new Map<number, number>();
  const watch = setInterval(() => void rebootDead(), watchInterval);
  let watching = false;

  function machineFile(machine: MachineRecord, environment: Readonly<Record<string, string>>): MachineFile {
    const directory = directoryOf(machine);
    const root = join(directory, 'root');
    return {
      root,
      run: runOf(machine),
      bootScript: join(directory, 'boot.sh'),
      console: join(directory, 'console.log'),
      environment: {
        PATH: `${settings.imageDirectory}/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
        HOME: root,
        LANG: 'C.UTF-8',
        [marker]: directory,
        ESPALIER_ROOT: root,
        ESPALIER_RUN: runOf(machine),
        ESPALIER_IMAGE: settings.imageDirectory,
        ...environment,
      },
    };
  }

  function boot(machine: MachineRecord, environment: Readonly<Record<string, string>>): void {
    const directory = directoryOf(machine);
    const file = machineFile(machine, environment);
    mkdirSync(file.root, { recursive: true, mode: 0o700 });
    rmSync(file.run, { recursive: true, force: true });
    mkdirSync(file.run, { recursive: true, mode: 0o755 });
    writeFileSync(file.bootScript, machine.bootScript, { mode: 0o600 });
    writeFileSync(join(directory, 'machine.json'), JSON.stringify(file), { mode: 0o600 });
    appendFileSync(file.console, `lab: booting at ${machine.address}\n`, { mode: 0o600 });
    const log = openSync(join(directory, 'supervisor.log'), 'a', 0o600);
    settings.network?.attach(machine);
    const command = [process.execPath, join(import.meta.dirname, 'supervisor.ts'), directory];
    const [program = '', ...words] = [...(settings.network?.entering(machine) ?? []), ...command];
    const supervisor = spawn(program, words, {
      cwd: directory,
      env: file.environment,
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    if (supervisor.pid === undefined) throw new Error(`the supervisor of ${directory} could not be started`);
    startedAt.set(machine.number, Date.now());
    supervisor.unref();
  }

  /** The supervisor of a machine, when it is alive. One that has just been started has not written its file yet. */
  function supervisorOf(machine: MachineRecord): ProcessIdentity | undefined {
    const identity = readJson(join(directoryOf(machine), 'supervisor.json')) as ProcessIdentity | undefined;
    return identity !== undefined && isAlive(identity) ? identity : undefined;
  }

  /** The same for a file that an earlier lab left: number and start time could be those of a process after a reboot of the computer. */
  function adoptable(machine: MachineRecord): boolean {
    const supervisor = supervisorOf(machine);
    return supervisor !== undefined && findProcesses(directoryOf(machine)).includes(supervisor.pid);
  }

  async function rebootDead(): Promise<void> {
    if (watching) return;
    watching = true;
    try {
      for (const { machine, environment } of [...running.values()]) {
        const young = Date.now() - (startedAt.get(machine.number) ?? 0) < 10_000;
        if (young || supervisorOf(machine) !== undefined || !running.has(machine.number)) continue;
        settings.log(`machine ${machine.number} has no supervisor any more: booting it again`);
        await killProcesses(directoryOf(machine));
        rmSync(join(directoryOf(machine), 'supervisor.json'), { force: true });
        if (running.has(machine.number)) boot(machine, environment);
      }
    } catch (cause) {
      settings.log(`watching machines: ${String(cause)}`);
    } finally {
      watching = false;
    }
  }

  async function stop(machine: MachineRecord): Promise<void> {
    running.delete(machine.number);
    const directory = directoryOf(machine);
    const supervisor = supervisorOf(machine);
    if (supervisor !== undefined) {
      signalProcess(supervisor.pid, 'SIGTERM');
      const deadline = Date.now() + stopGrace;
      while (isAlive(supervisor) && Date.now() < deadline) await sleep(20);
    }
    await killProcesses(directory);
    settings.network?.detach(machine);
    rmSync(join(directory, 'supervisor.json'), { force: true });
    rmSync(runOf(machine), { recursive: true, force: true });
  }

  return {
    async start(machine, environment) {
      const before = readJson(join(directoryOf(machine), 'machine.json')) as MachineFile | undefined;
      running.set(machine.number, { machine, environment });
      const same = JSON.stringify(before) === JSON.stringify(machineFile(machine, environment));
      if (same && adoptable(machine) && settings.network?.isAttached(machine) !== false) {
        settings.network?.attach(machine);
        return;
      }
      await killProcesses(directoryOf(machine));
      rmSync(join(directoryOf(machine), 'supervisor.json'), { force: true });
      boot(machine, environment);
    },
    stop,
    async destroy(machine) {
      await stop(machine);
      rmSync(join(directoryOf(machine), 'root'), { recursive: true, force: true });
      rmSync(join(directoryOf(machine), 'boot.sh'), { force: true });
    },
    forget(machine) {
      rmSync(directoryOf(machine), { recursive: true, force: true });
    },
    async run(machine, script, timeoutMs) {
      const until = Date.now() + timeoutMs;
      // Right after its start it is not there yet.
      while (running.has(machine.number) && supervisorOf(machine) === undefined && Date.now() < until) await sleep(50);
      const on = running.get(machine.number);
      if (on === undefined || supervisorOf(machine) === undefined) return undefined;
      const { root, environment } = machineFile(machine, on.environment);
      const command = [...(settings.network?.entering(machine) ?? []), '/bin/sh', '-s'];
      return runScript(command, script, { cwd: root, env: environment, timeoutMs });
    },
    readConsole(machine) {
      try {
        return readFileSync(join(directoryOf(machine), 'console.log'));
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
        throw cause;
      }
    },
    describe: (machine) => ({ root: join(directoryOf(machine), 'root'), run: runOf(machine) }),
    async close() {
      clearInterval(watch);
      await Promise.all([...running.values()].map(({ machine }) => stop(machine)));
      settings.network?.close();
      rmSync(settings.runDirectory, { recursive: true, force: true });
    },
  };
}

function runScript(
  [program = '', ...words]: readonly string[],
  script: string,
  { cwd, env, timeoutMs }: { cwd: string; env: Readonly<Record<string, string>>; timeoutMs: number },
): Promise<ScriptEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    const said = { stdout: '', stderr: '' };
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      if (child.pid !== undefined) signalProcess(-child.pid, 'SIGKILL');
    }, timeoutMs);
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].on('data', (chunk: Buffer) => {
        said[stream] = (said[stream] + chunk.toString('utf8')).slice(0, largestOutput);
      });
    }
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(late);
      resolve({ code: isLate ? undefined : (code ?? 255), ...said });
    });
    child.stdin.on('error', () => undefined); // it may end before it has read everything
    child.stdin.end(script);
  });
}

/** The machine image: nothing but the stand-in systemctl. Boot scripts add the programs, each by a link of its own. */
function installImage(directory: string): void {
  mkdirSync(join(directory, 'usr/bin'), { recursive: true, mode: 0o755 });
  const target = join(directory, 'usr/bin/systemctl');
  // Instances of a lab that was killed may be running it.
  copyFileSync(join(import.meta.dirname, 'systemctl'), `${target}.new`);
  renameSync(`${target}.new`, target);
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // Not there, or half written when everything was killed: as good as not there.
    return undefined;
  }
}
