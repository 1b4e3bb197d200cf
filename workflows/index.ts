// Every workflow that the `control` queue's workers run, by name.
export { bootstrapTrustDomain } from './bootstrap-trust-domain.ts';
export { distrustAuthority } from './distrust-authority.ts';
export { issueIntermediate } from './issue-intermediate.ts';
export { provisionServer } from './provision-server.ts';
export { readmitAgents } from './readmit-agents.ts';
export { registerWorkloads } from './register-workloads.ts';
export { rollOutAgents } from './roll-out-agents.ts';
export { rotateJwtAuthority } from './rotate-jwt-authority.ts';
export { rotateUpstreamAuthority } from './rotate-upstream-authority.ts';
export { rotateX509Authority } from './rotate-x509-authority.ts';
export { scanExpiry } from './scan-expiry.ts';
export { tearDownTrustDomain } from './tear-down-trust-domain.ts';
export { trustChange } from './trust-change.ts';
export { verifyTrustDomain } from './verify-trust-domain.ts';
