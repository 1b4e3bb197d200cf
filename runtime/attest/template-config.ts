// `agent_path_template` as a configuration value: parsed with the rest of the plugin's configuration, so that its faults are reported with theirs.
import * as z from 'zod';
import { parseAgentPathTemplate } from './agent-path-template.ts';

export function agentPathTemplate(defaultText: string, fields: readonly string[]) {
  return z
    .string()
    .default(defaultText)
    .transform((text, context) => {
      try {
        return parseAgentPathTemplate(text, fields);
      } catch (cause) {
        context.addIssue({ code: 'custom', message: cause instanceof Error ? cause.message : String(cause) });
        return z.NEVER;
      }
    });
}
