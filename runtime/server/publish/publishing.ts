// When the bundle is published: at the start, at each change, again soon where it failed, and now and then without a reason, because what was put
// somewhere may have been taken away there. Each publisher goes at its own pace.
import type { Logger } from '../../log.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import type { BundlePublisher } from './bundle-publisher.ts';

export interface PublishingOptions {
  readonly publishers: readonly BundlePublisher[];
  readonly authority: Pick<CertificateAuthority, 'bundle' | 'onBundle'>;
  readonly log: Logger;
  readonly retryMs?: number;
  readonly repeatMs?: number;
}

/** Returns the way to stop, which waits for what is under way to give up. */
export function startPublishing(options: PublishingOptions): () => Promise<void> {
  const followers = options.publishers.map((publisher) => follow(publisher, options));
  const unwatch = options.authority.onBundle(() => {
    for (const { publishSoon } of followers) publishSoon();
  });
  for (const { publishSoon } of followers) publishSoon();
  return async () => {
    unwatch();
    await Promise.all(followers.map(({ stop }) => stop()));
  };
}

interface Follower {
  readonly publishSoon: () => void;
  readonly stop: () => Promise<void>;
}

function follow(
  publisher: BundlePublisher,
  { authority, log, retryMs = 30_000, repeatMs = 300_000 }: PublishingOptions,
): Follower {
  const closing = new AbortController();
  const isClosed = (): boolean => closing.signal.aborted;
  let isAskedAgain = false;
  let underWay: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  /** One after another, so that an older bundle is never put over a newer one. */
  const publish = async (): Promise<void> => {
    clearTimeout(timer);
    let waitMs = repeatMs;
    while (takeRequest() && !isClosed()) {
      try {
        await publisher.publish(authority.bundle(), closing.signal);
        waitMs = repeatMs;
      } catch (error) {
        if (!isClosed()) log.error({ bundle_publisher: publisher.name, err: error }, 'Failed to publish bundle');
        waitMs = retryMs;
      }
    }
    underWay = undefined; // in the same turn as the last look: what is asked now starts anew
    if (!isClosed()) timer = setTimeout(publishSoon, waitMs).unref();
  };
  const takeRequest = (): boolean => {
    const wasAsked = isAskedAgain;
    isAskedAgain = false;
    return wasAsked;
  };
  const publishSoon = (): void => {
    isAskedAgain = true;
    underWay ??= publish();
  };

  return {
    publishSoon,
    async stop() {
      closing.abort();
      clearTimeout(timer);
      await underWay;
    },
  };
}
