// The systemd units of deploy/systemd as a boot script installs them: the very text that somebody installs by hand, without its comments, for user data is
// small, and with the script's paths, which are the usual ones on a real machine.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { enableUnit, writeFile } from './shell.ts';

const units = join(import.meta.dirname, '../../deploy/systemd');

/** The runtime is named by its digest: another one makes another unit, which is restarted. */
const places = [
  ['/opt/espalier/current/', '$HERE/'],
  ['/opt/espalier/bin/', '$IMAGE/opt/espalier/bin/'],
  ['/etc/spire/', '$ROOT/etc/spire/'],
  ['/var/cache/espalier', '$NODE_COMPILE_CACHE'],
] as const;

/** `version`: of what the program reads, for the unit's description; another one makes another unit. */
export function startHardenedUnit(name: 'spire-server' | 'spire-agent', version?: string): string {
  const lines = readFileSync(join(units, `${name}.service`), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => (version !== undefined && line.startsWith('Description=') ? `${line}, ${version}` : line));
  // Nothing of the text is the shell's but the paths that are put in.
  const quoted = lines.join('\n').replace(/[\\`$]/g, String.raw`\$&`);
  const placed = places.reduce((text, [usual, here]) => text.replaceAll(usual, here), quoted);
  return `${writeFile(`$ROOT/etc/systemd/system/${name}.service`, placed, { expand: true })}
${enableUnit(name)}`;
}
