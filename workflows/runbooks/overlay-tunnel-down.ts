// A tunnel of the overlay between two places is down. There is no overlay yet: tiers reach each other directly, and what can be told is which of them answer.
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { faultsOf, silenceOf } from './tiers.ts';

export function overlayTunnelDown(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('overlayTunnelDown', asked, async ({ found, advise, look, until }) => {
    const whole = async (): Promise<boolean> => {
      const looks = await look();
      for (const one of looks) [...faultsOf(one), ...silenceOf(one)].forEach(found);
      return looks.every((one) => faultsOf(one).length === 0 && one.downstreams.silentCount === 0);
    };
    found('this trust domain has no overlay: its tiers reach each other over the network that they stand in');
    if (await whole()) return 'nothing is wrong';
    if (await until('every tier to answer and to be heard by the one above', whole)) return 'recovered';
    advise('look at the network between the tiers that are named above');
    return 'needs a person';
  });
}
