// The digests of a server's X.509 authorities, asked over its private socket: a console carries them to whoever must check the first bundle.
import { createHash } from 'node:crypto';
import { BundleService } from '../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { connect, createClient } from '../rpc/client.ts';

/** One line for each authority, in the bundle's order. */
export async function bundleDigests(socketPath: string): Promise<string[]> {
  const channel = connect({ unixPath: socketPath });
  try {
    const bundle = await createClient(BundleService, channel).getBundle({ outputMask: undefined });
    if (bundle.x509Authorities.length === 0) throw new Error('the bundle has no X.509 authority');
    return bundle.x509Authorities.map(({ asn1 }) => {
      const digest = createHash('sha256').update(asn1).digest('hex');
      return `espalier: bundle ${bundle.trustDomain} authority sha256:${digest}`;
    });
  } finally {
    channel.close();
  }
}
