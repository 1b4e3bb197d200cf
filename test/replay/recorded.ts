// The histories that `npm run record` saved, by folder (the workflow) and file (the case).
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { History } from './history-json.ts';

export interface Recorded {
  readonly workflow: string;
  /** `trustChange/success`. */
  readonly name: string;
  readonly history: History;
}

const directory = fileURLToPath(new URL('../histories', import.meta.url));

export function recordedWorkflows(): string[] {
  return readdirSync(directory).sort();
}

export function recordedHistories(): Recorded[] {
  return recordedWorkflows().flatMap((workflow) =>
    readdirSync(`${directory}/${workflow}`)
      .sort()
      .map((file) => ({
        workflow,
        name: `${workflow}/${file.replace('.json', '')}`,
        history: JSON.parse(readFileSync(`${directory}/${workflow}/${file}`, 'utf8')) as History,
      })),
  );
}
