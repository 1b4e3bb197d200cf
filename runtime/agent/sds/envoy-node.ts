// What Envoy says of itself in a request, as far as it decides what a validation context looks like.
import type { Node } from '../../../proto/gen/envoy/config/core/v3/base.ts';

const overrideKey = 'disable_spiffe_cert_validation';

/** Whether the peers' certificates are left to Envoy's SPIFFE validator. */
export function usesSpiffeValidator(node: Node | undefined, disabledByDefault: boolean): boolean {
  const isDisabled = readBoolean(node?.metadata?.[overrideKey]) ?? disabledByDefault;
  return !isDisabled && hasSpiffeValidator(node);
}

/** Envoy has it since 1.18; one that does not tell its version is taken for a newer one. */
function hasSpiffeValidator(node: Node | undefined): boolean {
  const told = node?.userAgentVersionType;
  if (told?.$case !== 'userAgentBuildVersion') return true;
  const { majorNumber, minorNumber } = told.value.version ?? { majorNumber: 0, minorNumber: 0 };
  return majorNumber > 1 || (majorNumber === 1 && minorNumber > 17);
}

const texts: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
]);

/** A boolean, or a text that Go takes for one. Anything else is as if it were not there. */
function readBoolean(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  return typeof value === 'string' ? texts.get(value) : undefined;
}
