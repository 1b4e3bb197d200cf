// What a bundle publisher is: it puts our trust domain's bundle somewhere, for those who do not ask the server. When, is publishing.ts.
import type { TrustBundle } from '../../spiffe/bundle.ts';

export interface BundlePublisher {
  readonly name: string;
  /** Rejects where it could not be put everywhere. Putting the same again changes nothing. */
  publish(bundle: TrustBundle, signal: AbortSignal): Promise<void>;
}
