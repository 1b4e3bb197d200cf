// A call to an AWS service that has no client here: signed, with a limit on the answer. One place for what all of them share.
import { readBounded } from '../bounded-body.ts';
import { credentialsFor } from './credentials.ts';
import type { CredentialSources, Identity } from './credentials.ts';
import type { AwsIidConfig } from './server-config.ts';
import { signRequest } from './sign-request.ts';

export interface AwsRequest {
  readonly service: 'organizations' | 'eks' | 'autoscaling';
  readonly region: string;
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
export type AwsCall = (request: AwsRequest, signal: AbortSignal) => Promise<string>;

const maxAnswerBytes = 4 * 1024 * 1024;
const shownText = 500;

/** For one list: the keys are asked for once, and live longer than its pages take. */
export function createAwsCall(keys: Identity, { fetch }: CredentialSources): AwsCall {
  return async (request, signal) => {
    const { service, url, method, body } = request;
    const headers = signRequest({ ...request, keys, now: new Date() });
    const content = method === 'GET' ? {} : { body };
    const response = await fetch(url, { method, headers, ...content, redirect: 'error', signal });
    const text = await readBounded(response, maxAnswerBytes);
    if (!response.ok) throw new Error(`${service}: status ${response.status}: ${text.slice(0, shownText)}`);
    return text;
  };
}

/** Where a service is: as the configuration of the SDKs says, or its usual place. */
export function endpointOf(service: AwsRequest['service'], usual: string, { env }: CredentialSources): string {
  return (
    env[`AWS_ENDPOINT_URL_${service === 'autoscaling' ? 'AUTO_SCALING' : service.toUpperCase()}`] ??
    env['AWS_ENDPOINT_URL'] ??
    usual
  );
}

/** The rights that the server has in a node's account. */
export function placeCredentials(
  config: AwsIidConfig,
  place: { readonly region: string; readonly accountId: string },
  sources: CredentialSources,
): () => Promise<Identity> {
  const found = credentialsFor(config, place, sources);
  return async () => {
    if (typeof found === 'function') return found();
    if (found !== undefined) return found;
    const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
    return fromNodeProviderChain()();
  };
}
