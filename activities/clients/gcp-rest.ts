// The two of Google's services that have no client here (IAM's service accounts, Secret Manager), over REST with google-auth-library.
import type { AuthClient } from 'google-auth-library';

export interface GcpSettings {
  readonly project: string;
  /** Overrides the services' own addresses: the lab. */
  readonly endpoint: string | undefined;
  /** Absent on the real cloud: application default credentials are used there. */
  readonly accessToken: string | undefined;
  readonly image: string;
  readonly machineType: string;
}

export type GcpRequest = (method: 'GET' | 'POST' | 'DELETE', url: string, body?: unknown) => Promise<unknown>;

export async function createAuth(settings: GcpSettings): Promise<AuthClient> {
  const { GoogleAuth, OAuth2Client } = await import('google-auth-library');
  if (settings.accessToken === undefined) {
    return new GoogleAuth({ scopes: ['https://www.googleapis.com/auth/cloud-platform'] }).getClient();
  }
  const client = new OAuth2Client();
  client.setCredentials({ access_token: settings.accessToken });
  return client;
}

/** Requests to one service; a refusal is thrown with its HTTP status in `status`. */
export function createRequest(settings: GcpSettings, service: 'iam' | 'secretmanager'): GcpRequest {
  const base = settings.endpoint ?? `https://${service}.googleapis.com`;
  let auth: Promise<AuthClient> | undefined;
  return async (method, url, body) => {
    const client = await (auth ??= createAuth(settings));
    const response = await client.request({
      url: `${base}${url}`,
      method,
      timeout: 30_000,
      ...(body === undefined ? {} : { data: body }),
    });
    return response.data;
  };
}
