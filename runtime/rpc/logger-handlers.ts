// The Logger services of SPIRE's server and agent, which are the same but for their packages: how much this process logs, until it is told otherwise
// or starts anew.
import { LogLevel } from '../../proto/gen/spire/api/types/logger.ts';
import type { Logger } from '../../proto/gen/spire/api/types/logger.ts';
import { invalidArgument } from './status.ts';
import { logLevelName, wireLogLevel } from './wire-log-level.ts';
import type { LogLevelName } from './wire-log-level.ts';

/** The log of this process, as far as its level goes. */
export interface LevelControl {
  readonly launchLevel: LogLevelName;
  level(): LogLevelName;
  setLevel(level: LogLevelName): void;
}

/** Told of each change before it is made. */
export type OnLogChange = (change: 'set' | 'reset', level: LogLevelName) => void;

export function createLoggerHandlers(control: LevelControl, onChange: OnLogChange = () => undefined) {
  const present = (): Logger => ({
    currentLevel: wireLogLevel(control.level()),
    launchLevel: wireLogLevel(control.launchLevel),
  });

  return {
    getLogger: () => Promise.resolve(present()),

    async setLogLevel({ newLevel }: { readonly newLevel: LogLevel }): Promise<Logger> {
      if (newLevel === LogLevel.UNSPECIFIED) throw invalidArgument('newLevel value cannot be LogLevel_UNSPECIFIED');
      const level = logLevelName(newLevel);
      if (level === undefined) throw invalidArgument('unsupported log level');
      onChange('set', level);
      control.setLevel(level);
      return present();
    },

    async resetLogLevel(): Promise<Logger> {
      onChange('reset', control.launchLevel);
      control.setLevel(control.launchLevel);
      return present();
    },
  };
}
