// The faults of a trust domain's specification, one a line.
import { parseTrustDomainSpec, SpecError } from '../../activities/spec/check-spec.ts';

/** `place: message`, in the order in which they are reported; empty when the specification holds. */
export function faultsOf(input: unknown): readonly string[] {
  try {
    parseTrustDomainSpec(input);
    return [];
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    return error.faults.map(({ place, message }) => `${place}: ${message}`);
  }
}
