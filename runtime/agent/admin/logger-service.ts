// spire.agent.logger.v1.Logger: how much this agent logs, until it is told otherwise or starts anew.
import type { LoggerService } from '../../../proto/gen/spire/api/agent/logger/v1/logger.ts';
import { LogLevel as WireLevel } from '../../../proto/gen/spire/api/types/logger.ts';
import type { Logger as WireLogger } from '../../../proto/gen/spire/api/types/logger.ts';
import { logControlOf } from '../../log.ts';
import type { Logger, LogLevel } from '../../log.ts';
import type { Handlers } from '../../rpc/service.ts';
import { invalidArgument } from '../../rpc/status.ts';

const wireLevels: Readonly<Record<LogLevel, WireLevel>> = {
  panic: WireLevel.PANIC,
  fatal: WireLevel.FATAL,
  error: WireLevel.ERROR,
  warn: WireLevel.WARN,
  info: WireLevel.INFO,
  debug: WireLevel.DEBUG,
  trace: WireLevel.TRACE,
};
const levels = new Map(Object.entries(wireLevels).map(([name, level]) => [level, name as LogLevel] as const));

export function createLoggerService(log: Logger): Handlers<typeof LoggerService> {
  const control = logControlOf(log);
  const present = (): WireLogger => ({
    currentLevel: wireLevels[control.level()],
    launchLevel: wireLevels[control.launchLevel],
  });

  return {
    getLogger: async () => present(),

    async setLogLevel({ newLevel }) {
      if (newLevel === WireLevel.UNSPECIFIED) throw invalidArgument('newLevel value cannot be LogLevel_UNSPECIFIED');
      const level = levels.get(newLevel);
      if (level === undefined) throw invalidArgument('unsupported log level');
      log.info({ new_log_level: level }, 'SetLogLevel Called');
      control.setLevel(level);
      return present();
    },

    async resetLogLevel() {
      log.info({ launch_log_level: control.launchLevel }, 'ResetLogLevel Called');
      control.setLevel(control.launchLevel);
      return present();
    },
  };
}
