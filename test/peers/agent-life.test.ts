// SPIRE's agent on our server, and our agent on SPIRE's server.
import { describeAgentLife } from './support/agent-life.ts';
import { prepareSpireAgent, prepareSpireServer } from './support/programs.ts';

describeAgentLife('SPIRE’s agent on our server', async () => ({ agentCommand: await prepareSpireAgent() }));
describeAgentLife('our agent on SPIRE’s server', async () => ({ serverCommand: await prepareSpireServer() }));
