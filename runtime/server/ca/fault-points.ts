// The places between two steps of the CA's acts, by name. A test passes a hook that throws or ends the process there; a server that ships has none.

const stepsOf = {
  prepare: ['keyGenerated', 'intended', 'made', 'published', 'filled', 'noted'],
  activate: ['swapped', 'noted', 'settled'],
  taint: ['stored', 'applied'],
  revoke: ['stored', 'forgotten', 'applied'],
  withdraw: ['stored', 'forgotten', 'applied'],
} as const;
/** Of an act that another server asks of the one whose authority it is. */
const handOverSteps = ['taken', 'done', 'answered'] as const;

type Steps = typeof stepsOf;
type Act = keyof Steps;
export type FaultPoint =
  { [A in Act]: `${'x509' | 'jwt'}.${A}.${Steps[A][number]}` }[Act] | `handOver.${(typeof handOverSteps)[number]}`;

export type FaultHook = (point: FaultPoint) => void | Promise<void>;

/** All of them, in the order in which a forced rotation passes them. */
export const faultPoints: readonly FaultPoint[] = [
  ...(['x509', 'jwt'] as const).flatMap((kind) =>
    (Object.keys(stepsOf) as Act[]).flatMap((act) =>
      stepsOf[act].map((step) => `${kind}.${act}.${step}` as FaultPoint),
    ),
  ),
  ...handOverSteps.map((step) => `handOver.${step}` as const),
];
