// Has the SDK download its dev server into a directory: `download-temporal.ts <directory>`. Run as a process of its own, under a time limit.
import { TestWorkflowEnvironment } from '@temporalio/testing';

const [, , directory] = process.argv;
if (directory === undefined) throw new Error('usage: download-temporal.ts <directory>');
const environment = await TestWorkflowEnvironment.createLocal({
  server: { executable: { type: 'cached-download', downloadDir: directory } },
});
await environment.teardown();
