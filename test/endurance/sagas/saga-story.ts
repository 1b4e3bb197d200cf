// One story, disturbed at each of its activities in turn: it ends as it does undisturbed, or leaves everything as it was and says so.
import { isDeepStrictEqual } from 'node:util';
import type { SagaCase } from './saga-cases.ts';
import type { Disturbance, Played, SagaStage } from './saga-stage.ts';

export async function performSagaCase(
  stage: SagaStage,
  { story, disturbance, part }: SagaCase,
  tell: (line: string) => void,
): Promise<void> {
  const undisturbed = await stage.undisturbed(story);
  if (disturbance === 'forgets') {
    compare('a worker that forgets everything', await stage.play(story, { forgets: true }), undisturbed);
    tell('the same where each step is taken by a worker that knows the history alone');
    return;
  }
  if (disturbance === 'two') {
    compare('a second operator', await stage.play(story, { isAskedTwice: true }), undisturbed);
    tell('the same, and the second operator was told that another change runs');
    return;
  }
  const calls = undisturbed.calls.filter((_, index) => index % part.of === part.index);
  let [same, nothing] = [0, 0];
  const inTurn = async (): Promise<void> => {
    for (const call of calls) {
      const played = await stage.play(story, disturbanceAt(call, disturbance));
      if (!played.disturbed) throw new Error(`${call} was not called`);
      if (compare(`${call}, ${disturbance}`, played, undisturbed)) same += 1;
      else nothing += 1;
    }
  };
  await (disturbance.startsWith('fails') ? stage.together(inTurn) : inTurn());
  tell(`${calls.length} activities: ${same} times the same end, ${nothing} times nothing was changed`);
}

function disturbanceAt(call: string, disturbance: SagaCase['disturbance']): Disturbance {
  const boundary = { call, moment: disturbance.endsWith('before') ? ('before' as const) : ('after' as const) };
  return disturbance.startsWith('killed') ? { dies: boundary } : { stumbles: boundary };
}

/** Whether it ended the same way; throws where it is neither that nor nothing. */
function compare(what: string, played: Played, undisturbed: Played): boolean {
  const parts = ({ things, done, report }: Played) => ({ ...things, done, report });
  const [got, want] = [parts(played), parts(undisturbed)];
  const different = Object.keys(want).filter(
    (name) => !isDeepStrictEqual(got[name as keyof typeof got], want[name as keyof typeof want]),
  );
  if (different.length === 0) return true;
  if (isDeepStrictEqual(played.things, played.before)) return false;
  const lines = different.map((name) => {
    const text = (of: typeof got): string => JSON.stringify(of[name as keyof typeof of]);
    return `${name} is ${text(got)}, undisturbed ${text(want)}`;
  });
  throw new Error(`${what}: ${lines.join('; ')}`);
}
