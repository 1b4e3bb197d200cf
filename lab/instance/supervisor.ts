// The first process of an instance, in place of init: starts the enabled units, runs the boot script once, and does what the stand-in
// systemctl asks. It outlives the lab's own process, as an instance outlives its cloud's control plane; when it ends, its instance is off.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isHeldDown } from './held-programs.ts';
import { identify, signalProcess } from './processes.ts';
import { Service } from './service.ts';
import { loadUnit } from './unit-file.ts';

/** Written by the lab before it starts the supervisor. */
export interface MachineFile {
  readonly root: string;
  readonly run: string;
  readonly bootScript: string;
  readonly console: string;
  readonly environment: Readonly<Record<string, string>>;
}

const directory = process.argv[2];
if (directory === undefined) throw new Error('usage: supervisor.ts <instance directory>');
const machine = JSON.parse(readFileSync(join(directory, 'machine.json'), 'utf8')) as MachineFile;
const isHeld = (unit: string): boolean => isHeldDown(directory, unit);
const unitDirectory = join(machine.root, 'etc/systemd/system');
const logDirectory = join(machine.root, 'var/log');
const controlDirectory = join(machine.run, 'systemd');
const services = new Map<string, Service>();
let bootProcess: ChildProcess | undefined;
let poweringOff = false;

for (const path of [unitDirectory, logDirectory, controlDirectory]) mkdirSync(path, { recursive: true, mode: 0o755 });
writeFileSync(join(directory, 'supervisor.json'), JSON.stringify(identify(process.pid)), { mode: 0o600 });
process.on('SIGTERM', () => void powerOff());
process.on('SIGINT', () => void powerOff());
listenToControl();
startEnabledUnits();
runBootScript();

function say(line: string): void {
  appendFileSync(machine.console, `lab: ${line}\n`);
}

function startEnabledUnits(): void {
  const wants = join(unitDirectory, 'multi-user.target.wants');
  if (!existsSync(wants)) return;
  for (const file of readdirSync(wants)) {
    const { code, text } = start(file.replace(/\.service$/, ''));
    if (code !== 0) say(text);
  }
}

function runBootScript(): void {
  const output = openSync(machine.console, 'a', 0o600);
  const child = spawn('/bin/sh', [machine.bootScript], {
    cwd: machine.root,
    env: machine.environment,
    stdio: ['ignore', output, output],
    detached: true,
  });
  closeSync(output);
  bootProcess = child;
  child.once('exit', (code, signal) => {
    bootProcess = undefined;
    if (!poweringOff) say(`boot script ended ${signal === null ? `with code ${code ?? 0}` : `by ${signal}`}`);
  });
}

interface Answer {
  readonly code: number;
  readonly text: string;
}

function listenToControl(): void {
  const path = join(controlDirectory, 'control');
  rmSync(path, { force: true });
  execFileSync('mkfifo', ['-m', '0600', path]);
  // Open for both, so that the pipe never reads as ended when a writer closes it.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const lines = createInterface({ input: new Socket({ fd, readable: true, writable: false }) });
  lines.on('line', (line) => {
    const [verb, name, reply] = line.split(' ');
    if (verb === undefined || name === undefined || reply === undefined) return;
    perform(verb, name).then(
      (answer) => sendReply(reply, answer),
      (cause: unknown) => sendReply(reply, { code: 1, text: String(cause) }),
    );
  });
}

function sendReply(path: string, { code, text }: Answer): void {
  try {
    // The asker holds the pipe open already; one that has gone must not block the supervisor.
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    writeSync(fd, `${code}\n${text === '' ? '' : `${text}\n`}.\n`);
    closeSync(fd);
  } catch (cause) {
    say(`systemctl went away before its answer: ${String(cause)}`);
  }
}

async function perform(verb: string, name: string): Promise<Answer> {
  const service = services.get(name);
  switch (verb) {
    case 'start':
      return service?.state === 'active' || service?.state === 'activating' ? { code: 0, text: '' } : start(name);
    case 'restart':
      if (service?.state === 'active' && isUnchanged(service)) return { code: 0, text: '' };
      await service?.stop();
      return start(name);
    case 'stop':
      await service?.stop();
      return { code: 0, text: '' };
    case 'kill':
      if (service === undefined) return { code: 5, text: `Unit ${name}.service not loaded.` };
      await service.kill();
      return { code: 0, text: '' };
    case 'is-active':
      return { code: service?.state === 'active' ? 0 : 3, text: service?.state ?? 'inactive' };
    case 'status':
      return { code: service?.state === 'active' ? 0 : 3, text: describe(name, service) };
    default:
      return { code: 1, text: `unknown command ${verb}` };
  }
}

function start(name: string): Answer {
  const file = join(unitDirectory, `${name}.service`);
  if (!existsSync(file)) return { code: 5, text: `Unit ${name}.service could not be found.` };
  if (poweringOff) return { code: 1, text: 'the instance is being stopped' };
  try {
    const unit = loadUnit(file, machine.environment);
    if (unit.unknown.length > 0) say(`${name}.service: this stand-in ignores ${unit.unknown.join(', ')}`);
    const service = new Service(name, unit, join(logDirectory, `${name}.log`), () => isHeld(name));
    services.set(name, service);
    service.start();
    return { code: 0, text: '' };
  } catch (cause) {
    return { code: 1, text: cause instanceof Error ? cause.message : String(cause) };
  }
}

function isUnchanged(service: Service): boolean {
  try {
    return loadUnit(join(unitDirectory, `${service.name}.service`), machine.environment).source === service.unit.source;
  } catch {
    // Unreadable now: not what is running.
    return false;
  }
}

function describe(name: string, service: Service | undefined): string {
  const lines = [
    `${name}.service (under the Espalier lab's stand-in, not systemd)`,
    `     Active: ${service?.state ?? 'inactive'}`,
    ...(service?.pid === undefined ? [] : [`   Main PID: ${service.pid}`]),
  ];
  return lines.join('\n');
}

async function powerOff(): Promise<void> {
  if (poweringOff) return;
  poweringOff = true;
  if (bootProcess?.pid !== undefined) {
    const ended = once(bootProcess, 'exit');
    signalProcess(-bootProcess.pid, 'SIGKILL');
    await ended;
  }
  await Promise.all([...services.values()].map((service) => service.stop()));
  process.exit(0);
}
