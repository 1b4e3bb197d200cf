// How tiers look, in the words that runbooks find. Pure.
import type { ServerLook, TierLook } from '../../activities/runbooks/runbook.ts';

export function tierOf(looks: readonly TierLook[], name: string | undefined): TierLook | undefined {
  return looks.find(({ tier }) => tier === name);
}

export function answering({ servers }: TierLook): readonly ServerLook[] {
  return servers.filter(({ answers }) => answers);
}

export function isServing(look: TierLook): boolean {
  return answering(look).length > 0 && look.datastore === 'answers';
}

/** What keeps a tier from serving, a line for each fault; none where it serves whole. */
export function faultsOf(look: TierLook): string[] {
  const { tier, servers, datastore, datastoreSaid = '', unpublished } = look;
  return [
    ...(servers.length === 0 ? [`tier ${tier} has no server that runs`] : []),
    ...servers
      .filter(({ answers }) => !answers)
      .map(({ name, said = '' }) => `server ${name} of tier ${tier} does not answer: ${said}`),
    ...(datastore === 'away' ? [`the datastore of tier ${tier} does not answer: ${datastoreSaid}`] : []),
    ...unpublished.map(
      (name) => `server ${name} of tier ${tier} signs with an authority that the bundle does not have`,
    ),
  ];
}

/** What silent holders have to say by being silent. */
export function silenceOf({ tier, agents, downstreams }: TierLook): string[] {
  return [
    ...(agents.silentCount > 0 ? [`${agents.silentCount} of ${agents.total} agents of tier ${tier} are silent`] : []),
    ...agents.common.map((what) => `in common, in tier ${tier}: ${what}`),
    ...downstreams.silent.map(
      ({ id, heardAt }) => `downstream server ${id} below tier ${tier} is silent since ${heardAt}`,
    ),
  ];
}
