// One running unit of an instance: starts its program, starts it again as the unit says, and ends its whole process group.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { signalProcess } from './processes.ts';
import type { Unit } from './unit-file.ts';

export type ServiceState = 'active' | 'activating' | 'inactive' | 'failed';

export class Service {
  readonly name: string;
  readonly unit: Unit;
  readonly #logFile: string;
  readonly #isHeldDown: () => boolean;
  #state: ServiceState = 'inactive';
  #child: ChildProcess | undefined;
  #restartTimer: NodeJS.Timeout | undefined;
  #starts: number[] = [];
  #stopping = false;

  /** `isHeldDown`: a fault of the lab's keeps the program from running; it is asked at each start. */
  constructor(name: string, unit: Unit, logFile: string, isHeldDown: () => boolean) {
    this.name = name;
    this.unit = unit;
    this.#logFile = logFile;
    this.#isHeldDown = isHeldDown;
  }

  get state(): ServiceState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    if (this.#isHeldDown()) {
      this.#state = 'failed';
      this.#note('held down by a fault of the lab');
      return;
    }
    const { interval, burst } = this.unit.startLimit;
    const now = Date.now();
    this.#starts = [...this.#starts.filter((time) => now - time < interval), now];
    if (interval > 0 && this.#starts.length > burst) {
      this.#state = 'failed';
      this.#note('start request repeated too quickly; the unit has failed');
      return;
    }
    const [program, ...args] = this.unit.command;
    if (program === undefined) return;
    const log = openSync(this.#logFile, 'a', 0o600);
    const child = spawn(program, args, {
      cwd: this.unit.workingDirectory ?? '/',
      env: this.unit.environment,
      stdio: ['ignore', log, log],
      // A process group of its own, so that stopping the unit ends its children too.
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    this.#state = 'active';
    let ended = false;
    const onEnd = (failed: boolean, how: string) => {
      if (ended) return;
      ended = true;
      this.#ended(child, failed, how);
    };
    child.once('error', (cause) => onEnd(true, `could not be started: ${cause.message}`));
    child.once('exit', (code, signal) =>
      onEnd(code !== 0, signal === null ? `ended with code ${code ?? 0}` : `ended by ${signal}`),
    );
  }

  /** As if the machine had run out of memory: no goodbye. What the unit says of restarts holds. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const ended = once(child, 'exit');
    signalProcess(-child.pid, 'SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    const child = this.#child;
    if (child?.pid !== undefined) {
      const ended = once(child, 'exit');
      signalProcess(-child.pid, 'SIGTERM');
      const kill = setTimeout(() => signalProcess(-(child.pid ?? 0), 'SIGKILL'), this.unit.stopTimeout);
      await ended;
      clearTimeout(kill);
    }
    this.#state = 'inactive';
  }

  #ended(child: ChildProcess, failed: boolean, how: string): void {
    this.#child = undefined;
    // What the program left behind in its group goes with it, as with systemd's control groups.
    if (child.pid !== undefined) signalProcess(-child.pid, 'SIGKILL');
    this.#state = failed ? 'failed' : 'inactive';
    if (this.#stopping) return;
    this.#note(how);
    if (this.unit.restart === 'no' || (this.unit.restart === 'on-failure' && !failed)) return;
    this.#state = 'activating';
    this.#restartTimer = setTimeout(() => this.start(), this.unit.restartDelay);
  }

  #note(what: string): void {
    appendFileSync(this.#logFile, `systemd stand-in: ${this.name}: ${what}\n`);
  }
}
