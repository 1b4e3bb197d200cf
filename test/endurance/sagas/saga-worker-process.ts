// Workers of every queue in a process of their own. The world is not in it: each activity is asked of the runner, which may kill this process before it
// answers. Without its runner it ends.
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { activityInfo, Context } from '@temporalio/activity';
import { failure } from '../../../activities/failures.ts';
import type { FailureType } from '../../../activities/failures.ts';

/** By queue: the names of its activities. */
export type Queues = Readonly<Record<string, readonly string[]>>;

export interface Asked {
  readonly id: number;
  readonly queue: string;
  readonly name: string;
  readonly input: unknown;
  readonly workflowId: string;
  readonly attempt: number;
}

export interface Answered {
  readonly id: number;
  readonly result?: unknown;
  readonly failed?: { readonly type: FailureType; readonly message: string };
}

export type FromSagaWorker = 'prepared' | Asked;
export type ToSagaWorker = 'begin' | Answered;

/** Before it is missed, also on a busy machine. */
const heartbeatMs = 300;
const [address = '', codePath = '', queues = '{}'] = process.argv.slice(2);
const waiting = new Map<number, (answer: Answered) => void>();
let asked = 0;

const say = (what: FromSagaWorker): void => void process.send?.(what);
process.once('disconnect', () => process.exit(0));
process.on('message', (told: ToSagaWorker) => {
  if (told === 'begin') {
    for (const worker of workers) void worker.run();
    return;
  }
  waiting.get(told.id)?.(told);
  waiting.delete(told.id);
});

async function ask(queue: string, name: string, input: unknown): Promise<unknown> {
  const id = (asked += 1);
  const beating = setInterval(() => Context.current().heartbeat(), heartbeatMs);
  try {
    const answer = await new Promise<Answered>((resolve) => {
      waiting.set(id, resolve);
      const { workflowExecution, attempt } = activityInfo();
      say({ id, queue, name, input, attempt, workflowId: workflowExecution?.workflowId ?? '' });
    });
    if (answer.failed !== undefined) throw failure(answer.failed.type, answer.failed.message);
    return answer.result;
  } finally {
    clearInterval(beating);
  }
}

Runtime.install({ logger: new DefaultLogger('ERROR') });
const connection = await NativeConnection.connect({ address });
const workers = await Promise.all(
  Object.entries(JSON.parse(queues) as Queues).map(([taskQueue, names]) =>
    Worker.create({
      connection,
      taskQueue,
      activities: Object.fromEntries(names.map((name) => [name, (input: unknown) => ask(taskQueue, name, input)])),
      ...(taskQueue === 'control' ? { workflowBundle: { codePath } } : {}),
      // What a worker that died has cached goes to the next one soon.
      stickyQueueScheduleToStartTimeout: '1 second',
    }),
  ),
);
say('prepared');
