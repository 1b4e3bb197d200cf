// SPIFFE IDs, and those among them that SPIRE keeps for itself below `/spire`: its servers and agents.
import { SpiffeError } from './errors.ts';
import { checkPath, checkPathSegment, idScheme, splitId } from './id-text.ts';
import { TrustDomain } from './trust-domain.ts';

/** SPIFFE-ID §2.3: every implementation understands this much and should make no more. */
const maxIdBytes = 2048;

const serverPath = '/spire/server';
const agentPrefix = '/spire/agent/';

export class SpiffeId {
  readonly trustDomain: TrustDomain;
  /** Empty, or slashes and segments: `/a/b`. */
  readonly path: string;
  /** Makes the type nominal, as in {@link TrustDomain}. */
  declare protected readonly checked: true;

  private constructor(trustDomain: TrustDomain, path: string) {
    this.trustDomain = trustDomain;
    this.path = path;
  }

  static fromParts(trustDomain: TrustDomain, path: string): SpiffeId {
    checkPath(path);
    // Every character of checked parts is one byte.
    if (idScheme.length + trustDomain.name.length + path.length > maxIdBytes) {
      throw new SpiffeError('ID_LENGTH', `SPIFFE ID is longer than ${maxIdBytes} bytes`);
    }
    return new SpiffeId(trustDomain, path);
  }

  toString(): string {
    return idScheme + this.trustDomain.name + this.path;
  }

  equals(other: SpiffeId): boolean {
    return this.path === other.path && this.trustDomain.equals(other.trustDomain);
  }

  toJSON(): string {
    return this.toString();
  }
}

export function parseSpiffeId(text: string): SpiffeId {
  const { name, path } = splitId(text);
  return SpiffeId.fromParts(TrustDomain.fromName(name), path);
}

export function createSpiffeId(trustDomain: TrustDomain, path: string): SpiffeId {
  return SpiffeId.fromParts(trustDomain, path);
}

export function serverId(trustDomain: TrustDomain): SpiffeId {
  return createSpiffeId(trustDomain, serverPath);
}

/** `/spire/agent/<method>/<segments…>`; each part must be one segment, so that no token or host name can climb out of its place. */
export function agentId(trustDomain: TrustDomain, method: string, ...segments: readonly string[]): SpiffeId {
  const parts = [method, ...segments];
  parts.forEach((part) => checkPathSegment(part));
  return createSpiffeId(trustDomain, agentPrefix + parts.join('/'));
}

export function isServerPath(path: string): boolean {
  return path === serverPath;
}

export function isAgentPath(path: string): boolean {
  return path.startsWith(agentPrefix);
}

/** True of `/spire` and everything below; no workload may have such an ID. */
export function isReservedPath(path: string): boolean {
  return path === '/spire' || path.startsWith('/spire/');
}
