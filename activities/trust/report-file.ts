// Keeps the report of a change of trust or of a runbook as a file, for whoever has to show later what was proven: JSON, whole, or not there at all.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The name is the workflow's and its run's, so a second writing is of the same report. Returns the path. */
export async function writeReport(directory: string, name: string, report: object): Promise<string> {
  const path = join(directory, `${name.replaceAll(/[^A-Za-z0-9._-]+/g, '-')}.json`);
  await mkdir(directory, { recursive: true });
  await writeFile(`${path}.new`, `${JSON.stringify(report, undefined, 2)}\n`);
  await rename(`${path}.new`, path);
  return path;
}
