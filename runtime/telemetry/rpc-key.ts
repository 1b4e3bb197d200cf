// The metric's key for a method, as SPIRE makes it: `/spire.api.server.svid.v1.SVID/MintX509SVID` is `rpc`, `svid`, `v1`, `svid`, `mint_x509svid`.

/** Services whose names are shortened, in the order in which SPIRE replaces them. */
const shortNames: readonly (readonly [string, string])[] = [
  ['spire.api.server.', ''],
  ['SpiffeWorkloadAPI', 'WorkloadAPI'],
  ['envoy.service.secret.v3.SecretDiscoveryService', 'SDS.v3'],
  ['grpc.health.v1.Health', 'Health'],
  ['spire.api.agent.logger.v1.Logger', 'Logger'],
  ['logger.v1.Logger', 'Logger'],
  ['spire.agent.debug.v1.Debug', 'Debug'],
  ['spire.api.agent.delegatedidentity.v1.DelegatedIdentity', 'DelegatedIdentity'],
];

/** `/package.Service/Method` → `svid.v1.SVID`, which SPIRE's logs use too. */
export function serviceName(method: string): string {
  const service = method.slice(1, method.lastIndexOf('/'));
  return shortNames.reduce((text, [long, short]) => text.replace(long, short), service);
}

export function methodName(method: string): string {
  return method.slice(method.lastIndexOf('/') + 1);
}

export function rpcKey(method: string): readonly string[] {
  const name = methodName(method);
  const last = name === 'SubscribeToX509SVIDs' ? 'subscribe_to_x509_svids' : snakeCase(name);
  return ['rpc', ...serviceName(method).split('.').map(snakeCase), last];
}

/** An underscore comes before a capital that stands beside a small letter, but not before the last character. */
export function snakeCase(text: string): string {
  let out = '';
  for (const [i, character] of Array.from(text).entries()) {
    if (!/[\p{L}\p{N}]/u.test(character)) {
      out += '_';
      continue;
    }
    const lower = character.toLowerCase();
    const next = text[i + 1];
    const beside = next !== undefined && (isSmall(next) || isSmall(text[i - 1] ?? ''));
    if (character !== lower && i > 0 && beside && !out.endsWith('_')) out += '_';
    out += lower;
  }
  return out;
}

function isSmall(character: string): boolean {
  return /\p{Ll}/u.test(character);
}
