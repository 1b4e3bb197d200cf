// One process with streams of the Workload API open: the agent's bench forks several, as many workloads would be.
import { openRawStreams } from '../support/raw-streams.ts';

/** Asked for: until each stream has had that many answers. Answered with the same. */
export interface Answered {
  readonly answered: number;
}

const [socketPath = '', count = ''] = process.argv.slice(2);
const streams = await openRawStreams({ socketPath, count: Number(count) });
process.on('message', ({ answered }: Answered) => {
  void streams.answered(answered).then(() => process.send?.({ answered }));
});
process.once('disconnect', () => process.exit(0));
process.send?.('ready');
