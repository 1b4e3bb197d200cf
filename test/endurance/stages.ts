// What the cases of a matrix are played on. A bootstrap has a state directory of its own; servers and their database serve case after case, until one
// fails: the next begins on new ones.
import { openAbuseStage } from './abuse/abuse-stage.ts';
import type { AbuseStage } from './abuse/abuse-stage.ts';
import { performAbuseCase } from './abuse/abuse-story.ts';
import { openAgentStage } from './agents/agent-stage.ts';
import type { AgentStage } from './agents/agent-stage.ts';
import { performAgentCase } from './agents/agent-story.ts';
import { runBootstrapCase } from './bootstrap-case.ts';
import type { Case } from './cases.ts';
import { openCutStage } from './cuts/cut-stage.ts';
import type { CutStage } from './cuts/cut-stage.ts';
import { performCutCase } from './cuts/cut-story.ts';
import { openRotationStage } from './rotation/rotation-stage.ts';
import type { RotationStage } from './rotation/rotation-stage.ts';
import { performRotationCase } from './rotation/rotation-story.ts';
import { openSagaStage } from './sagas/saga-stage.ts';
import type { SagaStage } from './sagas/saga-stage.ts';
import { performSagaCase } from './sagas/saga-story.ts';
import { performAuthorityCase } from './tiers/authority-story.ts';
import { startTiers } from './tiers/tiers.ts';
import type { Tiers } from './tiers/tiers.ts';

export interface CaseSurroundings {
  readonly seed: number;
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Stages {
  /** Returns why the case failed. */
  run(chosen: Case, around: CaseSurroundings): Promise<string | undefined>;
  close(): Promise<void>;
}

export function createStages(): Stages {
  const tiers = createStage<Tiers>(startTiers);
  const rotations = createStage<RotationStage>(openRotationStage);
  const sagas = createStage<SagaStage>(openSagaStage);
  const cuts = createStage<CutStage>(openCutStage);
  const agents = createStage<AgentStage>(openAgentStage);
  const abuse = createStage<AbuseStage>(openAbuseStage);
  return {
    run(chosen, around) {
      if (chosen.matrix === 'bootstrap') return runBootstrapCase({ ...chosen, ...around });
      if (chosen.matrix === 'authority') return tiers.play((stage) => performAuthorityCase(stage, chosen, around.tell));
      if (chosen.matrix === 'rotation')
        return rotations.play((stage) => performRotationCase(stage, chosen, around.tell));
      if (chosen.matrix === 'sagas') return sagas.play((stage) => performSagaCase(stage, chosen, around.tell));
      if (chosen.matrix === 'agent') return agents.play((stage) => performAgentCase(stage, chosen, around.tell));
      if (chosen.matrix === 'abuse')
        return abuse.play((stage) => performAbuseCase(stage, chosen, around.seed, around.tell));
      return cuts.play((stage) => performCutCase(stage, chosen, around.tell));
    },
    async close() {
      await tiers.close();
      await rotations.close();
      await sagas.close();
      await cuts.close();
      await agents.close();
      await abuse.close();
    },
  };
}

function createStage<T extends { close(): Promise<void> }>(open: () => Promise<T>) {
  let opened: T | undefined;
  const close = async (): Promise<void> => {
    await opened?.close();
    opened = undefined;
  };
  return {
    close,
    async play(act: (stage: T) => Promise<void>): Promise<string | undefined> {
      try {
        opened ??= await open();
        await act(opened);
        return undefined;
      } catch (error) {
        await close();
        return error instanceof Error ? error.message : String(error);
      }
    },
  };
}
