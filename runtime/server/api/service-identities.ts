// espalier.service.v1.ServiceIdentities: administrators say which services may give identities to what they run for customers and tenants; agents ask
// for such a service, which they have attested. Ours; SPIRE's servers do not have it.
import type { Identity, ServiceIdentitiesService, Template } from '../../../proto/gen/espalier/service/v1/service.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import type { Handlers } from '../../rpc/service.ts';
import { failedPrecondition, invalidArgument, notFound } from '../../rpc/status.ts';
import { checkSelector } from '../../spiffe/selector.ts';
import { parseSubject, subjectId } from '../../spiffe/service-id.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import { deriveEntry } from '../service/derive-entry.ts';
import { checkServiceEntry, parseTemplate } from '../service/template.ts';
import type { ServiceTemplate } from '../service/template.ts';
import type { AuthorizedEntries } from '../store/authorized-entries.ts';
import type { EntryRecord } from '../store/records.ts';
import type { EntryStore, ServiceIdentity, ServiceStore } from '../store/store.ts';
import type { CallerOf } from './caller.ts';
import { requireCallerId } from './caller.ts';
import type { RateLimiter } from './rate-limit.ts';
import { attempt, checkArgument, errorText } from './refusal.ts';
import { encodeSpiffeId } from './wire/spiffe-id.ts';

export interface ServiceIdentitiesOptions {
  readonly store: ServiceStore & Pick<EntryStore, 'fetchEntry'>;
  readonly cache: Pick<AuthorizedEntries, 'authorizedEntries' | 'authorizedEntry'>;
  readonly callerOf: CallerOf;
  readonly limiter: RateLimiter;
  readonly clock: () => number;
}

/** What a page has that names no size, and at most. */
const pageSize = { usual: 500, largest: 1000 };
/** A process has a few dozen; of a container's labels there may be more. */
const mostSelectors = 512;

export function createServiceIdentities(options: ServiceIdentitiesOptions): Handlers<typeof ServiceIdentitiesService> {
  const { store, cache, callerOf, limiter, clock } = options;

  return {
    async setTemplate({ template: wire }) {
      if (wire === undefined) throw invalidArgument('missing template');
      const template = checkArgument('invalid template', () => parseTemplate(wire));
      const entry = await attempt('failed to fetch entry', () => store.fetchEntry(template.entryId));
      if (entry === undefined) throw notFound(`entry ${template.entryId} not found`);
      try {
        checkServiceEntry(entry);
      } catch (cause) {
        throw failedPrecondition(errorText(cause), { cause });
      }
      await attempt('failed to set template', () => store.saveServiceTemplate(template));
      return { template: encodeTemplate({ ...template, spiffeId: entry.spiffeId }) };
    },

    async deleteTemplate({ entryId }) {
      if (entryId === '') throw invalidArgument('missing entry ID');
      const withdrawn = await attempt('failed to delete template', () => store.deleteServiceTemplate(entryId));
      if (withdrawn === undefined) throw notFound(`entry ${entryId} has no template`);
      return { withdrawn };
    },

    async listTemplates({ pageSize: size, pageToken }) {
      const found = await attempt('failed to list templates', () =>
        store.listServiceTemplates(pageRequest(size, pageToken)),
      );
      return { templates: found.templates.map(encodeTemplate), nextPageToken: found.nextPageToken };
    },

    async listIdentities({ templateEntryId, pageSize: size, pageToken }) {
      const of = templateEntryId === '' ? undefined : templateEntryId;
      const found = await attempt('failed to list identities', () =>
        store.listServiceIdentities(of, pageRequest(size, pageToken)),
      );
      return { identities: found.identities.map(encodeIdentity), nextPageToken: found.nextPageToken };
    },

    async deriveIdentity({ templateEntryId, kind, id, selectors }, context) {
      await limiter.admit(context, 1, 'rejecting request due to service identity rate limiting');
      const subject = checkArgument('invalid subject', () => parseSubject(kind, id));
      if (selectors.length === 0) throw invalidArgument('missing selectors');
      if (selectors.length > mostSelectors)
        throw invalidArgument(`there are ${selectors.length} selectors, at most ${mostSelectors} are taken`);
      checkArgument('invalid selector', () => selectors.forEach(checkSelector));
      const { agentId, entry } = serviceOf(context, templateEntryId);
      const template = await attempt('failed to fetch template', () => store.fetchServiceTemplate(entry.id));
      if (template === undefined) throw noTemplate();
      const derived = deriveEntry({
        agentId,
        subject,
        process: selectors,
        entry,
        template,
        serviceEntries: cache.authorizedEntries(agentId).filter(({ spiffeId }) => spiffeId === entry.spiffeId),
        nowSeconds: Math.floor(clock() / 1000),
      });
      const identity = await attempt('failed to give identity', () => store.giveServiceIdentity(template, derived));
      return { identity: encodeIdentity(identity) };
    },

    async withdrawIdentity({ templateEntryId, kind, id, entryId }, context) {
      await limiter.admit(context, 1, 'rejecting request due to service identity rate limiting');
      const subject = checkArgument('invalid subject', () => parseSubject(kind, id));
      const { agentId, entry } = serviceOf(context, templateEntryId);
      const withdrawn = await attempt('failed to withdraw identity', () =>
        store.withdrawServiceIdentities({
          templateId: entry.id,
          agentId,
          spiffeId: String(subjectId(parseSpiffeId(entry.spiffeId), subject)),
          ...(entryId === '' ? {} : { entryId }),
        }),
      );
      return { withdrawn };
    },
  };

  /** The agent may sign for the service itself: no agent without it asks for what is below. */
  function serviceOf(context: CallContext, entryId: string): { agentId: string; entry: EntryRecord } {
    if (entryId === '') throw invalidArgument('missing entry ID');
    const agentId = String(requireCallerId(callerOf(context)));
    const entry = cache.authorizedEntry(agentId, entryId);
    if (entry === undefined) throw noTemplate();
    try {
      checkServiceEntry(entry);
    } catch (cause) {
      throw failedPrecondition(errorText(cause), { cause });
    }
    return { agentId, entry };
  }
}

/** One answer for both: an agent does not learn which entries others have. */
function noTemplate() {
  return notFound('template not found or not authorized');
}

function pageRequest(size: number, token: string) {
  return { size: size <= 0 ? pageSize.usual : Math.min(size, pageSize.largest), token };
}

function encodeTemplate(template: ServiceTemplate & { readonly spiffeId: string }): Template {
  const { kinds, selectors, spiffeId, ...rest } = template;
  return { ...rest, kinds: [...kinds], selectors: [...selectors], spiffeId: wireId(spiffeId) };
}

function encodeIdentity({ spiffeId, agentId, templateId, ...identity }: ServiceIdentity): Identity {
  return { ...identity, spiffeId: wireId(spiffeId), agentId: wireId(agentId), templateEntryId: templateId };
}

function wireId(text: string) {
  return encodeSpiffeId(parseSpiffeId(text));
}
