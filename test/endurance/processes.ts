// The processes of one state directory, found by more than the marks that Espalier itself goes by: a process that lost its mark counts too.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface FoundProcess {
  readonly pid: number;
  /** The program with its arguments. */
  readonly command: string;
  /** The directory of the machine in the lab that it runs on. */
  readonly machine: string | undefined;
  /** Started by `up` itself. */
  readonly marked: boolean;
}

/** Everything whose environment, arguments or working directory lie in one of the directories. */
export function findProcesses(directories: readonly string[]): FoundProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => inspect(Number(name), directories));
}

function inspect(pid: number, directories: readonly string[]): FoundProcess[] {
  try {
    if (readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ')) return [];
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').join(' ').trim();
    const marks = environment.filter((line) => /^ESPALIER_(UP|INSTANCE)=/.test(line));
    const texts = [...marks.map((line) => line.slice(line.indexOf('=') + 1)), readlinkSync(`/proc/${pid}/cwd`)];
    const isOurs = directories.some(
      (directory) => command.includes(directory) || texts.some((text) => `${text}/`.startsWith(`${directory}/`)),
    );
    if (!isOurs) return [];
    const machine = marks.find((line) => line.startsWith('ESPALIER_INSTANCE='))?.slice('ESPALIER_INSTANCE='.length);
    return [{ pid, command, machine, marked: marks.some((line) => line.startsWith('ESPALIER_UP=')) }];
  } catch {
    return []; // it ended meanwhile, or is another user's
  }
}

/** Kills them until there are none: one may start another while the list is read. */
export async function killProcesses(find: () => FoundProcess[]): Promise<void> {
  for (let round = 0; round < 100; round += 1) {
    const found = find();
    if (found.length === 0) return;
    for (const { pid } of found) kill(pid);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(
    `processes do not end: ${find()
      .map(({ pid, command }) => `${pid} ${command}`)
      .join('; ')}`,
  );
}

export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ESRCH') throw cause; // it ended by itself
  }
}
