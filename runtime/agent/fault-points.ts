// The places between two steps of attestation and renewal, by name. A test passes a hook that ends the process there; an agent that ships has none.

/** What of the agent's data is written, and why. */
export const writes = [
  'data.bootstrap',
  'data.attesting',
  'data.bundle',
  'data.svid',
  'data.forgotten',
  'keys',
] as const;
export type Write = (typeof writes)[number];

/** `attest.answered`: the server has signed, and nobody has noted it. `renamed`: a file is there; `written`: it still has another name. */
export const faultPoints = [
  ...writes.flatMap((write) => [`${write}.written`, `${write}.renamed`] as const),
  'attest.answered',
  'attest.done',
  'renew.answered',
  'renew.done',
] as const;
export type FaultPoint = (typeof faultPoints)[number];

export type FaultHook = (point: FaultPoint) => void;
