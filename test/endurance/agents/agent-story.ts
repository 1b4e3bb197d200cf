// One agent, killed at one place: what its directory then holds fits together, and started again it serves and renews, also where
// its evidence is spent: nobody has to let its node in anew.
import type { AgentCase } from './agent-cases.ts';
import type { AgentStage } from './agent-stage.ts';
import { createTriedAgent } from './tried-agent.ts';
import type { TriedAgent } from './tried-agent.ts';

export async function performAgentCase(
  stage: AgentStage,
  { method, moment, point }: AgentCase,
  tell: (line: string) => void,
): Promise<void> {
  await stage.change('first');
  const node = stage.createNode();
  const joining = async () => {
    const token = await stage.createToken();
    return { settings: `join_token = "${token}"`, agentPath: `/spire/agent/join_token/${token}` };
  };
  const again = { settings: 'rebootstrap_mode = "always" rebootstrap_delay = "1ms"', agentPath: node.agentPath };
  const { settings, agentPath } = method === 'join_token' ? await joining() : again;
  await stage.createWorkload(agentPath);
  const agent = createTriedAgent({
    directory: node.directory,
    serverPort: stage.port,
    bundlePem: await stage.bundlePem(),
    settings,
    attestor: method === 'join_token' ? 'NodeAttestor "join_token" { plugin_data {} }' : node.attestor,
  });
  try {
    if (moment === 'first') agent.begin(point);
    else {
      await agent.start();
      await agent.dieAt(point);
      if (moment === 'rebootstrap') {
        await stage.change('other');
        agent.trust(await stage.bundlePem());
        await stage.createWorkload(agentPath);
      }
    }
    await agent.died();
    const kept = agent.storedSerial();
    tell(`killed at ${point}, ${kept === undefined ? 'without an SVID' : 'with an SVID and its key'}`);
    checkKept(moment, point, kept);

    if (moment === 'rebootstrap' && kept !== undefined) {
      // Killed before it had forgotten: it finds the other server once more, and ends for good.
      agent.begin();
      await agent.ended();
      if (!agent.log().includes('shutting down for rebootstrapping')) throw new Error(`another end:\n${agent.log()}`);
    }
    const readyMs = await agent.start();
    const id = await agent.workloadId();
    if (id !== stage.workloadOf(agentPath))
      throw new Error(`the workload is ${id}, not ${stage.workloadOf(agentPath)}`);
    tell(`serves again after ${readyMs.toFixed(0)} ms`);
    await untilRenewed(agent, kept, moment);
  } finally {
    await agent.stop();
  }
}

/** Two phases: until the new SVID is there whole, the old one is, with its key. */
function checkKept(moment: AgentCase['moment'], point: AgentCase['point'], kept: string | undefined): void {
  const isGone = moment === 'rebootstrap' ? point.endsWith('.renamed') : undefined;
  if (moment === 'renewal' && kept === undefined) throw new Error('the SVID that was there is lost');
  if (isGone !== undefined && isGone !== (kept === undefined))
    throw new Error(`the SVID is ${kept === undefined ? 'gone' : 'still there'}`);
}

/** What a restart goes on with is good for a renewal, too. */
async function untilRenewed(agent: TriedAgent, kept: string | undefined, moment: AgentCase['moment']): Promise<void> {
  if (moment !== 'renewal') return;
  if (!agent.log().includes('SVID loaded')) throw new Error(`it attested at its start:\n${agent.log()}`);
  await agent.wait('a renewal', () => agent.storedSerial() !== kept);
}
