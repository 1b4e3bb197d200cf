// EC2's metadata service, version 2 only, as a table of paths below /latest/.
import type { Answer, HttpService } from '../http-service.ts';
import { startHttpService } from '../http-service.ts';

const token = 'metadata-token';

export function startMetadataFake(paths: Readonly<Record<string, string>>): Promise<HttpService> {
  return startHttpService(({ method, url, headers }): Answer => {
    if (url === '/latest/api/token') {
      const asked = method === 'PUT' && headers['x-aws-ec2-metadata-token-ttl-seconds'] !== undefined;
      return asked ? { body: token, headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' } } : { status: 400 };
    }
    if (headers['x-aws-ec2-metadata-token'] !== token) return { status: 401 };
    const body = paths[url.replace('/latest/', '')];
    return body === undefined ? { status: 404 } : { body };
  });
}
