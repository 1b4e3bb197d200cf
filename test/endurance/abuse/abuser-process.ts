// One abuser, in a process of its own: it repeats rounds of its kind until its parent lets it go, and holds on to what they left open.
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createChance } from '../random.ts';
import { abuseOnce } from './abuses.ts';
import type { AbuseKind } from './abuses.ts';
import type { Attacked } from './attacked.ts';

export interface AbuserOrder {
  readonly kind: AbuseKind;
  readonly attacked: Attacked;
  readonly seed: number;
  readonly subject: string;
}

const heldRounds = 8;
/** These take and keep, as much as they are given; the others say as much as they can, as fast as they can. */
const hoards: ReadonlySet<AbuseKind> = new Set([
  'silence',
  'preface-and-silence',
  'slow-readers',
  'unfinished-requests',
]);
const hoardPauseMs = 500;

const { kind, attacked, seed, subject } = JSON.parse(process.argv[2] ?? '') as AbuserOrder;
const chance = createChance(seed, subject);
const held: (readonly Socket[])[] = [];
process.once('disconnect', () => process.exit(0));
if (kind === 'streams') setTimeout(() => process.send?.('began'), 3_000); // its one round lasts as long as it is wanted
for (let round = 0; ; round += 1) {
  held.push(await abuseOnce(kind, attacked, chance));
  if (!hoards.has(kind) && held.length > heldRounds) for (const socket of held.shift() ?? []) socket.destroy();
  if (round === 0 && kind !== 'streams') process.send?.('began');
  // A round that was refused at once must still let this process hear that it is over.
  await sleep(hoards.has(kind) ? hoardPauseMs : 0);
}
