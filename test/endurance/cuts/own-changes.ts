// Changes by our own API, beside SPIRE's: what services may give and give, and prepared authorities that are taken back.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Entry } from '../../../proto/gen/spire/api/types/entry.ts';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { checkResults, example, exists, outputMask, withoutMissing } from './change.ts';
import type { Change, Prepare } from './change.ts';
import type { CutStage } from './cut-stage.ts';

const selectors = [{ type: 'unix', value: 'path:/usr/bin/vm' }];

async function newService(stage: CutStage) {
  const agent = await stage.attestAgent();
  const id = randomUUID();
  const ids = { spiffeId: example(`/service/${id}`), parentId: example(agent.path) };
  const entry = Entry.create({ id, ...ids, selectors: [{ type: 'unix', value: 'path:/usr/bin/metald' }] });
  checkResults((await stage.entry.batchCreateEntry({ entries: [entry], outputMask })).results);
  const template = {
    entryId: id,
    spiffeId: undefined,
    kinds: ['customer'],
    selectors,
    distinguishedBy: 'unix:uid',
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
    leaseSeconds: 0,
    mostIdentities: 0,
  };
  const set = () => stage.services.setTemplate({ template });
  const rows = () => stage.countRows('SELECT FROM service_templates WHERE entry_id = $1', id);
  const identity = {
    templateEntryId: id,
    kind: 'customer',
    id: 'one',
    selectors: [...selectors, { type: 'unix', value: 'uid:4242' }],
  };
  /** The server hears of the entry, and of what the service may give, in a moment. */
  const derive = async (): Promise<void> => {
    for (const deadline = Date.now() + 10_000; ;) {
      try {
        await agent.services.deriveIdentity(identity);
        return;
      } catch (error) {
        if (!/not found|no template|not authorized|may not/i.test(String(error)) || Date.now() > deadline) throw error;
        await delay(50);
      }
    }
  };
  const given = () => stage.countRows('SELECT FROM service_identities WHERE template_id = $1', id);
  return { agent, id, set, rows, derive, given };
}

/** Prepared before the cut; taken back while it happens. */
async function withdrawal({ authority, bundle, fleet }: CutStage, kind: 'x509' | 'jwt'): Promise<Change> {
  const isX509 = kind === 'x509';
  const states = () => (isX509 ? authority.getX509AuthorityState({}) : authority.getJwtAuthorityState({}));
  const { preparedAuthority } = isX509
    ? await authority.prepareX509Authority({})
    : await authority.prepareJwtAuthority({});
  const authorityId = preparedAuthority!.authorityId;
  return {
    make: () => fleet.withdrawAuthority({ authorityId, jwt: !isX509 }),
    async measure() {
      const { x509Authorities, jwtAuthorities } = await bundle.getBundle({ outputMask });
      const published = isX509
        ? x509Authorities.map(({ asn1 }) => Buffer.from(parseCertificate(asn1).subjectKeyId ?? []).toString('hex'))
        : jwtAuthorities.map(({ keyId }) => keyId);
      const isGone = [!published.includes(authorityId), (await states()).prepared?.authorityId !== authorityId];
      return isGone.filter(Boolean).length / 2;
    },
  };
}

export const ownChanges = {
  async SetTemplate(stage) {
    const { set, rows } = await newService(stage);
    return { make: set, measure: rows };
  },
  async DeleteTemplate(stage) {
    const { id, set, rows } = await newService(stage);
    await set();
    return {
      make: () => withoutMissing(() => stage.services.deleteTemplate({ entryId: id }), /not found|no template/),
      measure: async () => 1 - (await rows()),
    };
  },
  async DeriveIdentity(stage) {
    const { set, derive, given } = await newService(stage);
    await set();
    return { make: derive, measure: given };
  },
  async WithdrawIdentity(stage) {
    const { agent, id, set, derive, given } = await newService(stage);
    await set();
    await derive();
    const { identities } = await stage.services.listIdentities({ templateEntryId: id, pageSize: 0, pageToken: '' });
    const { entryId } = identities[0]!;
    return {
      make: () => agent.services.withdrawIdentity({ templateEntryId: id, kind: 'customer', id: 'one', entryId }),
      async measure() {
        const left = [await exists(() => stage.entry.getEntry({ id: entryId, outputMask })), (await given()) === 1];
        return 1 - left.filter(Boolean).length / 2;
      },
    };
  },
  WithdrawX509Authority: (stage) => withdrawal(stage, 'x509'),
  WithdrawJWTAuthority: (stage) => withdrawal(stage, 'jwt'),
} satisfies Readonly<Record<string, Prepare>>;
