// Which custom resources are this process's: those of its class, and those of none where it is told so, or has no class itself.
export interface ClassRule {
  readonly className: string;
  readonly watchClassless: boolean;
}

export function isOfClass(spec: unknown, { className, watchClassless }: ClassRule): boolean {
  const given = typeof spec === 'object' && spec !== null ? (spec as { className?: unknown }).className : undefined;
  const its = typeof given === 'string' ? given : '';
  return its === className || (its === '' && watchClassless);
}
