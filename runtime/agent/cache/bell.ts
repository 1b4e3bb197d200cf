// The agent's parts wait for each other by bells.
export { createBell } from '../../rpc/bell.ts';
export type { Bell } from '../../rpc/bell.ts';
