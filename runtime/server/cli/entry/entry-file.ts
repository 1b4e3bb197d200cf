// Entries in a file, for `-data`: SPIRE's registration JSON, `{ "entries": [{ "spiffe_id": "spiffe://…", "selectors": [{ "type": …, "value": … }] }] }`.
import { Entry } from '../../../../proto/gen/spire/api/types/entry.ts';
import * as z from 'zod';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { CommandError } from '../server-command.ts';
import { parseId } from '../wire-id.ts';

const int = z.number().int();

const fileEntry = z.object({
  entry_id: z.string().default(''),
  spiffe_id: z.string().default(''),
  parent_id: z.string().default(''),
  selectors: z.array(z.object({ type: z.string(), value: z.string() })).default([]),
  x509_svid_ttl: int.default(0),
  jwt_svid_ttl: int.default(0),
  federates_with: z.array(z.string()).default([]),
  admin: z.boolean().default(false),
  downstream: z.boolean().default(false),
  entry_expiry: int.default(0),
  dns_names: z.array(z.string()).default([]),
  store_svid: z.boolean().default(false),
  hint: z.string().default(''),
  additional_attributes: z
    .object({
      disable_x509_svid_prefetch: z.boolean().default(false),
      jwt_svid_include_jti: z.boolean().default(false),
    })
    .optional(),
});

const file = z.object({ entries: z.array(fileEntry).default([]) });

export function parseEntryFile(text: string): Entry[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CommandError((cause as Error).message);
  }
  const result = file.safeParse(json);
  if (!result.success) throw new CommandError(z.prettifyError(result.error));
  return result.data.entries.map((entry) => {
    const attributes = entry.additional_attributes;
    return Entry.create({
      id: entry.entry_id,
      spiffeId: explain('invalid SPIFFE ID', () => parseId(entry.spiffe_id)),
      parentId: explain('invalid parent ID', () => parseId(entry.parent_id)),
      selectors: entry.selectors,
      x509SvidTtl: entry.x509_svid_ttl,
      jwtSvidTtl: entry.jwt_svid_ttl,
      federatesWith: entry.federates_with.map(
        (name) => explain('invalid federated trust domain', () => parseTrustDomain(name)).name,
      ),
      admin: entry.admin,
      downstream: entry.downstream,
      expiresAt: entry.entry_expiry,
      dnsNames: entry.dns_names,
      storeSvid: entry.store_svid,
      hint: entry.hint,
      ...(attributes === undefined
        ? {}
        : {
            additionalAttributes: {
              disableX509SvidPrefetch: attributes.disable_x509_svid_prefetch,
              jwtSvidIncludeJti: attributes.jwt_svid_include_jti,
            },
          }),
    });
  });
}

function explain<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw new CommandError(what, { cause });
  }
}
