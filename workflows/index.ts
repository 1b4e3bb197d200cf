// Every workflow that the `control` queue's workers run, by name.
export { bootstrapTrustDomain } from './bootstrap-trust-domain.ts';
export { issueIntermediate } from './issue-intermediate.ts';
export { provisionServer } from './provision-server.ts';
export { readmitAgents } from './readmit-agents.ts';
export { registerWorkloads } from './register-workloads.ts';
export { rollOutAgents } from './roll-out-agents.ts';
export { tearDownTrustDomain } from './tear-down-trust-domain.ts';
export { trustChange } from './trust-change.ts';
export { verifyTrustDomain } from './verify-trust-domain.ts';
