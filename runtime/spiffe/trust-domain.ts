// A trust domain: a checked name, compared byte for byte. Nothing is repaired, decoded or lower-cased on the way in.
import { SpiffeError } from './errors.ts';
import { checkPath, checkTrustDomainName, idScheme, splitId } from './id-text.ts';

/** SPIFFE-ID §2.3. Every character of a checked name is one byte. */
const maxNameBytes = 255;

export class TrustDomain {
  readonly name: string;
  /** Makes the type nominal: an object that merely looks like a trust domain was never checked. */
  declare protected readonly checked: true;

  private constructor(name: string) {
    this.name = name;
  }

  /** Checks a bare name, without scheme or path. */
  static fromName(name: string): TrustDomain {
    checkTrustDomainName(name);
    if (name.length > maxNameBytes) {
      throw new SpiffeError('TRUST_DOMAIN_LENGTH', `trust domain is longer than ${maxNameBytes} bytes`);
    }
    return new TrustDomain(name);
  }

  /** The ID of the trust domain itself: `spiffe://example.org`. */
  idString(): string {
    return idScheme + this.name;
  }

  equals(other: TrustDomain): boolean {
    return this.name === other.name;
  }

  toString(): string {
    return this.name;
  }

  toJSON(): string {
    return this.name;
  }
}

/** Accepts a name, `example.org`, or an ID of the trust domain, `spiffe://example.org`, whose path is checked and dropped. */
export function parseTrustDomain(text: string): TrustDomain {
  if (!text.includes(':/')) return TrustDomain.fromName(text);
  const { name, path } = splitId(text);
  const trustDomain = TrustDomain.fromName(name);
  checkPath(path);
  return trustDomain;
}
