// Reads systemd service units, as much of them as the boot scripts write. What is not known here is left out, as systemd does; the unit's
// log says so.
import { readFileSync } from 'node:fs';

export interface Unit {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string | undefined;
  readonly restart: 'always' | 'on-failure' | 'no';
  readonly restartDelay: number;
  /** More than `burst` starts within the interval: the unit has failed and stays down. Zero interval: no limit. */
  readonly startLimit: { readonly interval: number; readonly burst: number };
  /** At most five seconds here: a lab that is being stopped should not keep its user waiting. */
  readonly stopTimeout: number;
  /** Everything the unit was read from: the same text means that nothing has changed. */
  readonly source: string;
  readonly unknown: readonly string[];
}

export class UnitFileError extends Error {
  readonly code = 'UNIT_FILE';

  constructor(message: string) {
    super(message);
    this.name = 'UnitFileError';
  }
}

const known = new Set([
  'Unit.Description', 'Unit.After', 'Unit.Wants', 'Unit.Requires', 'Unit.StartLimitIntervalSec', 'Unit.StartLimitBurst',
  'Service.Type', 'Service.Environment', 'Service.EnvironmentFile', 'Service.ExecStart', 'Service.Restart', 'Service.RestartSec',
  'Service.WorkingDirectory', 'Service.TimeoutStopSec', 'Install.WantedBy',
]); // prettier-ignore

/**
 * What keeps a service from harming its machine, and the directories that systemd makes for it: known, and not done here, for an instance of the lab is no
 * machine of its own, and its boot script makes the directories.
 */
const guards = new Set([
  'AmbientCapabilities', 'CacheDirectory', 'CapabilityBoundingSet', 'LockPersonality', 'NoNewPrivileges', 'PrivateDevices', 'PrivateTmp', 'ProtectClock',
  'ProtectControlGroups', 'ProtectHome', 'ProtectHostname', 'ProtectKernelLogs', 'ProtectKernelModules', 'ProtectKernelTunables', 'ProtectSystem',
  'RestrictAddressFamilies', 'RestrictNamespaces', 'RestrictRealtime', 'RestrictSUIDSGID', 'RuntimeDirectory', 'RuntimeDirectoryMode',
  'RuntimeDirectoryPreserve', 'StateDirectory', 'StateDirectoryMode', 'SystemCallArchitectures', 'SystemCallErrorNumber', 'SystemCallFilter', 'UMask',
].map((key) => `Service.${key}`)); // prettier-ignore

export function loadUnit(file: string, baseEnvironment: Readonly<Record<string, string>>): Unit {
  const source = readFileSync(file, 'utf8');
  const settings = parseSettings(source, file);
  const all = (key: string) => settings.filter((setting) => setting.key === key).map((setting) => setting.value);
  const last = (key: string) => all(key).at(-1);
  const files = all('Service.EnvironmentFile').map((path) => readEnvironmentFile(path));
  const environment = {
    ...baseEnvironment,
    ...Object.fromEntries(all('Service.Environment').flatMap((line) => splitWords(line).map(assignment))),
    ...Object.fromEntries(files.flatMap(({ variables }) => variables)),
  };
  const execStart = last('Service.ExecStart');
  if (execStart === undefined) throw new UnitFileError(`${file} has no ExecStart`);
  const type = last('Service.Type') ?? 'simple';
  if (type !== 'simple' && type !== 'exec')
    throw new UnitFileError(`${file}: this stand-in does not run units of type ${type}`);
  return {
    command: splitWords(execStart).map((word) => expand(word, environment)),
    environment,
    workingDirectory: last('Service.WorkingDirectory'),
    restart: parseRestart(last('Service.Restart') ?? 'no', file),
    restartDelay: parseSpan(last('Service.RestartSec') ?? '100ms', file),
    startLimit: {
      interval: parseSpan(last('Unit.StartLimitIntervalSec') ?? '10s', file),
      burst: Number(last('Unit.StartLimitBurst') ?? '5'),
    },
    stopTimeout: Math.min(parseSpan(last('Service.TimeoutStopSec') ?? '90s', file), 5000),
    source: [source, ...files.map(({ text }) => text)].join('\0'),
    unknown: settings.map((setting) => setting.key).filter((key) => !known.has(key) && !guards.has(key)),
  };
}

function parseSettings(source: string, file: string): { key: string; value: string }[] {
  let section = '';
  return source
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim())
    .flatMap((line) => {
      if (line === '' || line.startsWith('#') || line.startsWith(';')) return [];
      const header = /^\[(\w+)\]$/.exec(line);
      if (header?.[1] !== undefined) {
        section = header[1];
        return [];
      }
      const at = line.indexOf('=');
      if (at < 1 || section === '') throw new UnitFileError(`${file}: not a setting: ${line}`);
      return [{ key: `${section}.${line.slice(0, at).trim()}`, value: line.slice(at + 1).trim() }];
    });
}

/** Words as systemd splits them: quotes group, anywhere in a word; a backslash keeps the next character. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < line.length; at += 1) {
    const character = line.charAt(at);
    if (character === '\\') {
      at += 1;
      word = (word ?? '') + line.charAt(at);
    } else if (character === quote) {
      quote = undefined;
    } else if (quote === undefined && (character === '"' || character === "'")) {
      quote = character;
      word ??= '';
    } else if (quote === undefined && /\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (quote !== undefined) throw new UnitFileError(`unbalanced quotes: ${line}`);
  return word === undefined ? words : [...words, word];
}

function expand(word: string, environment: Readonly<Record<string, string>>): string {
  return word.replace(/\$\$|\$\{(\w+)\}/g, (_text, name: string | undefined) =>
    name === undefined ? '$' : (environment[name] ?? ''),
  );
}

function assignment(word: string): [string, string] {
  const at = word.indexOf('=');
  if (at < 1) throw new UnitFileError(`not a variable: ${word}`);
  return [word.slice(0, at), word.slice(at + 1)];
}

/** A path that starts with `-` may be missing. */
function readEnvironmentFile(setting: string): { text: string; variables: [string, string][] } {
  const optional = setting.startsWith('-');
  let text: string;
  try {
    text = readFileSync(optional ? setting.slice(1) : setting, 'utf8');
  } catch (cause) {
    if (optional) return { text: '', variables: [] };
    throw new UnitFileError(`environment file ${setting} cannot be read: ${String(cause)}`);
  }
  const lines = text.split('\n').map((line) => line.trim());
  const variables = lines
    .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith(';'))
    .map((line): [string, string] => {
      const [name, value] = assignment(line);
      return [name, /^(['"]).*\1$/.test(value) ? (splitWords(value)[0] ?? '') : value];
    });
  return { text, variables };
}

function parseRestart(text: string, file: string): Unit['restart'] {
  if (text === 'always' || text === 'on-failure' || text === 'no') return text;
  throw new UnitFileError(`${file}: this stand-in does not know Restart=${text}`);
}

/** Seconds without unit, or one number with `ms`, `s`, `min`. */
function parseSpan(text: string, file: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min|)$/.exec(text);
  if (match === null) throw new UnitFileError(`${file}: not a time span: ${text}`);
  return Number(match[1]) * { ms: 1, s: 1000, min: 60_000, '': 1000 }[match[2] as 'ms' | 's' | 'min' | ''];
}
