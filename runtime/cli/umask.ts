// What the files that a program makes are at most open to: their group may read them, nobody else may do anything.

const least = 0o027;

export interface UmaskLog {
  warn(message: string): void;
}

/** Takes away what the umask that the process was started with allows beyond that, and says so. */
export function tightenUmask(log: UmaskLog): void {
  const before = process.umask(least);
  const after = before | least;
  process.umask(after);
  if (after !== before) log.warn(`Current umask ${octal(before)} is too permissive; setting umask ${octal(after)}`);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
