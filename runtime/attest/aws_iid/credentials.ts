// With whose rights the server asks AWS: keys from the configuration, a role for GCE's identity token, or what the SDK finds by itself; and then,
// where the configuration says so, the role that the node's account has for us.
import type { EC2ClientConfig } from '@aws-sdk/client-ec2';
import type { Credentials as StsCredentials } from '@aws-sdk/client-sts';
import { createMetadataServer, fetchIdentityToken, metadataHost } from '../gcp_iit/metadata-server.ts';
import type { AwsIidConfig } from './server-config.ts';

export type AwsCredentials = NonNullable<EC2ClientConfig['credentials']>;
export type Identity = Awaited<ReturnType<Extract<AwsCredentials, (...input: never[]) => unknown>>>;

export interface CredentialSources {
  readonly fetch: typeof globalThis.fetch;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const sessionName = 'espalier-aws-iid';

/** Undefined where the SDK's own chain decides. The SDK calls the function again when the credentials are about to end. */
export function credentialsFor(
  config: AwsIidConfig,
  place: { readonly region: string; readonly accountId: string },
  sources: CredentialSources,
): AwsCredentials | undefined {
  if (config.assume_role === undefined) return ownCredentials(config, place.region, sources);
  return roleCredentials(config, { ...place, role: config.assume_role }, sources);
}

/** Of a role in an account, taken with the server's own rights. */
export function roleCredentials(
  config: AwsIidConfig,
  place: { readonly region: string; readonly accountId: string; readonly role: string },
  sources: CredentialSources,
): () => Promise<Identity> {
  const own = ownCredentials(config, place.region, sources);
  const arn = `arn:${config.partition}:iam::${place.accountId}:role/${place.role}`;
  return async () => {
    const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts');
    const sts = new STSClient({ region: place.region, ...(own === undefined ? {} : { credentials: own }) });
    const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn: arn, RoleSessionName: sessionName }));
    return identityOf(Credentials, arn);
  };
}

function ownCredentials(
  config: AwsIidConfig,
  region: string,
  { fetch, env }: CredentialSources,
): AwsCredentials | undefined {
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, web_identity: webIdentity } = config;
  if (accessKeyId !== undefined && secretAccessKey !== undefined) return { accessKeyId, secretAccessKey };
  if (webIdentity === undefined) return undefined;
  const { role_arn: arn, audience } = webIdentity;
  return async () => {
    const { AssumeRoleWithWebIdentityCommand, STSClient } = await import('@aws-sdk/client-sts');
    const token = await fetchIdentityToken(createMetadataServer({ host: metadataHost(env), fetch }), audience);
    const request = { RoleArn: arn, RoleSessionName: sessionName, WebIdentityToken: token.trim() };
    const { Credentials } = await new STSClient({ region }).send(new AssumeRoleWithWebIdentityCommand(request));
    return identityOf(Credentials, arn);
  };
}

function identityOf(credentials: StsCredentials | undefined, arn: string): Identity {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = credentials ?? {};
  if (
    AccessKeyId === undefined ||
    SecretAccessKey === undefined ||
    SessionToken === undefined ||
    Expiration === undefined
  ) {
    throw new Error(`STS gave no credentials for ${arn}`);
  }
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    expiration: Expiration,
  };
}
