// What Kubernetes says of a token, and whose the token is by it: a pod, as a service account. Nothing is read from the token itself.
import * as z from 'zod';
import { deniedEvidence, undecided } from '../attest-error.ts';

/** The `status` of a TokenReview (authentication.k8s.io/v1). */
export const tokenReviewSchema = z.object({
  authenticated: z.boolean().default(false),
  error: z.string().default(''),
  audiences: z.array(z.string()).default([]),
  user: z
    .object({ username: z.string().default(''), extra: z.record(z.string(), z.array(z.string())).default({}) })
    .prefault({}),
});
export type TokenReview = z.output<typeof tokenReviewSchema>;

export interface TokenOwner {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly podName: string;
  readonly podUid: string;
}

const podNameKey = 'authentication.kubernetes.io/pod-name';
const podUidKey = 'authentication.kubernetes.io/pod-uid';

/** `audiences` are those that the review was asked for; none means the API server's own. */
export function ownerOf(review: TokenReview, cluster: string, audiences: readonly string[]): TokenOwner {
  if (!review.authenticated) {
    // Its error goes to the log with the rest of the review, not to the caller.
    throw deniedEvidence(
      'TOKEN_UNAUTHENTICATED',
      `token not authenticated according to TokenReview API for cluster "${cluster}"`,
    );
  }
  if (review.error !== '')
    throw undecided('TOKEN_REVIEW', `TokenReview API for cluster "${cluster}" authenticated the token with an error`);
  // An API server that does not know audiences authenticates any token and leaves them out.
  if (audiences.length > 0 && !audiences.some((audience) => review.audiences.includes(audience)))
    throw deniedEvidence('TOKEN_AUDIENCE', `token for cluster "${cluster}" is not for any of: ${audiences.join(', ')}`);
  return {
    ...accountOf(review.user.username, cluster),
    podName: theOnly(review, podNameKey, 'pod name', cluster),
    podUid: theOnly(review, podUidKey, 'pod UID', cluster),
  };
}

function accountOf(username: string, cluster: string): { namespace: string; serviceAccount: string } {
  const [, namespace, serviceAccount] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username) ?? [];
  if (namespace !== undefined && serviceAccount !== undefined) return { namespace, serviceAccount };
  throw deniedEvidence('SERVICE_ACCOUNT', `token for cluster "${cluster}" is not of a service account`);
}

/** Tokens from secrets, which outlive every pod, have none of it. */
function theOnly(review: TokenReview, key: string, what: string, cluster: string): string {
  const values = Object.hasOwn(review.user.extra, key) ? review.user.extra[key] : undefined;
  const [value = '', ...others] = values ?? [];
  if (value !== '' && others.length === 0) return value;
  const found = value === '' ? 'no' : `${others.length + 1} values for its`;
  throw deniedEvidence('POD_UNBOUND', `token for cluster "${cluster}" has ${found} ${what}`);
}
