import type { LabContext } from '../context.ts';
export function resumeInstances(_context: LabContext): void {}
