// What the audit log says of a call beside who made it: from its request and its response, method by method, with SPIRE's field names. A batch has a
// line for each of its items. Evidence, tokens and CSRs are not among it: of a CSR there is the digest.
import { createHash } from 'node:crypto';
import { batchDeleteFederatedBundleRequest_ModeToJSON } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import type * as agent from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type * as bundle from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import type * as entry from '../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type * as service from '../../../proto/gen/espalier/service/v1/service.ts';
import type * as svid from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import type { Bundle } from '../../../proto/gen/spire/api/types/bundle.ts';
import type { Entry, EntryMask } from '../../../proto/gen/spire/api/types/entry.ts';
import { selectorMatch_MatchBehaviorToJSON } from '../../../proto/gen/spire/api/types/selector.ts';
import type { Selector, SelectorMatch } from '../../../proto/gen/spire/api/types/selector.ts';
import type { SPIFFEID } from '../../../proto/gen/spire/api/types/spiffeid.ts';
import type { Status } from '../../../proto/gen/spire/api/types/status.ts';
import type { X509SVID } from '../../../proto/gen/spire/api/types/x509svid.ts';
import { parseCertificate, serialDecimal } from '../../pki/certificate.ts';

/** What is undefined is left out. */
export type AuditFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface AuditedItem {
  readonly status: Status | undefined;
  readonly fields: AuditFields;
}

/** The response is absent where the call was refused. */
interface Row {
  readonly fields?: (request: never, response: never) => AuditFields;
  /** Of a batch that was let through. */
  readonly items?: (request: never, response: never) => readonly AuditedItem[];
}

type Results<T> = { readonly results: readonly T[] };

const rows: Readonly<Record<string, Row>> = {
  'svid.v1.SVID/MintX509SVID': {
    fields: ({ csr, ttl }: svid.MintX509SVIDRequest, response?: svid.MintX509SVIDResponse) => ({
      csr: digest(csr),
      ttl,
      ...x509SvidFields(response?.svid),
      // Here SPIRE writes a date, everywhere else seconds.
      ...(response?.svid === undefined ? {} : { expires_at: rfc3339(response.svid.expiresAt) }),
    }),
  },
  'svid.v1.SVID/MintJWTSVID': {
    fields: ({ id, audience, ttl }: svid.MintJWTSVIDRequest, response?: svid.MintJWTSVIDResponse) => ({
      spiffe_id: idText(id),
      audience: list(audience),
      ttl,
      expires_at: response?.svid?.expiresAt,
    }),
  },
  'svid.v1.SVID/BatchNewX509SVID': {
    items: ({ params }: svid.BatchNewX509SVIDRequest, { results }: svid.BatchNewX509SVIDResponse) =>
      results.map(({ status, svid: issued }, i) => ({
        status,
        fields: { csr: digest(params[i]?.csr), entry_id: params[i]?.entryId, ...x509SvidFields(issued) },
      })),
  },
  'svid.v1.SVID/BatchNewWITSVID': {
    items: ({ params }: svid.BatchNewWITSVIDRequest, { results }: svid.BatchNewWITSVIDResponse) =>
      results.map(({ status }, i) => ({ status, fields: { entry_id: params[i]?.entryId } })),
  },
  'svid.v1.SVID/NewJWTSVID': {
    fields: ({ entryId, audience }: svid.NewJWTSVIDRequest, response?: svid.NewJWTSVIDResponse) => ({
      entry_id: entryId,
      audience: list(audience),
      spiffe_id: idText(response?.svid?.id),
      expires_at: response?.svid?.expiresAt,
    }),
  },
  'svid.v1.SVID/NewDownstreamX509CA': {
    fields: ({ csr }: svid.NewDownstreamX509CARequest, response?: svid.NewDownstreamX509CAResponse) => ({
      csr: digest(csr),
      ...certificateFields(response?.caCertChain[0]),
    }),
  },

  'espalier.service.v1.ServiceIdentities/SetTemplate': {
    fields: ({ template }: service.SetTemplateRequest) => ({
      entry_id: template?.entryId,
      kinds: list(template?.kinds ?? []),
      selectors: selectorText(template?.selectors ?? []),
      distinguished_by: template?.distinguishedBy,
    }),
  },
  'espalier.service.v1.ServiceIdentities/DeleteTemplate': {
    fields: ({ entryId }: service.DeleteTemplateRequest, response?: service.DeleteTemplateResponse) => ({
      entry_id: entryId,
      withdrawn: response?.withdrawn,
    }),
  },
  'espalier.service.v1.ServiceIdentities/DeriveIdentity': {
    fields: (request: service.DeriveIdentityRequest, response?: service.DeriveIdentityResponse) => ({
      ...subjectFields(request),
      entry_id: response?.identity?.entryId,
      spiffe_id: idText(response?.identity?.spiffeId),
      distinguisher: response?.identity?.distinguisher,
      expires_at: response?.identity?.expiresAt,
    }),
  },
  'espalier.service.v1.ServiceIdentities/WithdrawIdentity': {
    fields: (request: service.WithdrawIdentityRequest, response?: service.WithdrawIdentityResponse) => ({
      ...subjectFields(request),
      withdrawn: response?.withdrawn,
    }),
  },

  'entry.v1.Entry/CountEntries': { fields: ({ filter }: entry.CountEntriesRequest) => entryFilterFields(filter) },
  'entry.v1.Entry/ListEntries': { fields: ({ filter }: entry.ListEntriesRequest) => entryFilterFields(filter) },
  'entry.v1.Entry/GetEntry': { fields: ({ id }: entry.GetEntryRequest) => ({ entry_id: nonEmpty(id) }) },
  'entry.v1.Entry/BatchCreateEntry': {
    items: ({ entries }: entry.BatchCreateEntryRequest, { results }: entry.BatchCreateEntryResponse) =>
      results.map(({ status, entry: made }, i) => ({
        status,
        fields: { ...entryFields(entries[i]), ...(made === undefined ? {} : { entry_id: nonEmpty(made.id) }) },
      })),
  },
  'entry.v1.Entry/BatchUpdateEntry': {
    items: ({ entries, inputMask }: entry.BatchUpdateEntryRequest, { results }: entry.BatchUpdateEntryResponse) =>
      results.map(({ status }, i) => ({ status, fields: entryFields(entries[i], inputMask) })),
  },
  'entry.v1.Entry/BatchDeleteEntry': {
    items: (_request: unknown, { results }: entry.BatchDeleteEntryResponse) =>
      results.map(({ id, status }) => ({ status, fields: { entry_id: id } })),
  },

  'agent.v1.Agent/CountAgents': { fields: ({ filter }: agent.CountAgentsRequest) => agentFilterFields(filter) },
  'agent.v1.Agent/ListAgents': { fields: ({ filter }: agent.ListAgentsRequest) => agentFilterFields(filter) },
  'agent.v1.Agent/GetAgent': { fields: idField },
  'agent.v1.Agent/DeleteAgent': { fields: idField },
  'agent.v1.Agent/BanAgent': { fields: idField },
  'agent.v1.Agent/AttestAgent': {
    fields: (request: agent.AttestAgentRequest | undefined, response?: agent.AttestAgentResponse) => {
      const issued = response?.step?.$case === 'result' ? response.step.value.svid : undefined;
      const type = request?.step?.$case === 'params' ? request.step.value.data?.type : undefined;
      return { node_attestor_type: type, agent_id: idText(issued?.id), ...certificateFields(issued?.certChain[0]) };
    },
  },
  'agent.v1.Agent/RenewAgent': {
    fields: ({ params }: agent.RenewAgentRequest, response?: agent.RenewAgentResponse) => ({
      csr: digest(params?.csr),
      ...certificateFields(response?.svid?.certChain[0]),
    }),
  },
  'agent.v1.Agent/PostStatus': {
    fields: ({ agentVersion }: agent.PostStatusRequest) => ({ agent_version: nonEmpty(agentVersion) }),
  },
  'agent.v1.Agent/CreateJoinToken': {
    fields: ({ ttl, agentId }: agent.CreateJoinTokenRequest) => ({ ttl, spiffe_id: idText(agentId) }),
  },

  'bundle.v1.Bundle/GetFederatedBundle': {
    fields: ({ trustDomain }: bundle.GetFederatedBundleRequest) => ({ trust_domain_id: trustDomain }),
  },
  'bundle.v1.Bundle/PublishJWTAuthority': {
    fields: ({ jwtAuthority }: bundle.PublishJWTAuthorityRequest) => ({
      jwt_authority_key_id: jwtAuthority?.keyId,
      jwt_authority_expires_at: jwtAuthority?.expiresAt,
      jwt_authority_public_key_sha256: digest(jwtAuthority?.publicKey),
    }),
  },
  'bundle.v1.Bundle/AppendBundle': {
    fields: ({ x509Authorities, jwtAuthorities }: bundle.AppendBundleRequest) => ({
      x509_authorities_asn1_sha256: list(x509Authorities.map(({ asn1 }) => digest(asn1))),
      jwt_authority_key_ids: list(jwtAuthorities.map(({ keyId }) => keyId)),
    }),
  },
  'bundle.v1.Bundle/BatchCreateFederatedBundle': { items: bundleItems },
  'bundle.v1.Bundle/BatchUpdateFederatedBundle': { items: bundleItems },
  'bundle.v1.Bundle/BatchSetFederatedBundle': { items: bundleItems },
  'bundle.v1.Bundle/BatchDeleteFederatedBundle': {
    items: (
      { mode }: bundle.BatchDeleteFederatedBundleRequest,
      { results }: bundle.BatchDeleteFederatedBundleResponse,
    ) =>
      results.map(({ status, trustDomain }) => ({
        status,
        fields: { trust_domain_id: trustDomain, mode: batchDeleteFederatedBundleRequest_ModeToJSON(mode) },
      })),
  },
};

/** Those that name an authority, in either of the ways of the local authority API. */
function authorityFields(request: unknown): AuditFields {
  const { authorityId, subjectKeyId } = request as { readonly authorityId?: string; readonly subjectKeyId?: string };
  return { local_authority_id: nonEmpty(authorityId), subject_key_id: nonEmpty(subjectKeyId) };
}

/** `name` as `svid.v1.SVID/MintX509SVID`. */
export function auditedFields(name: string, request: unknown, response: unknown): AuditFields {
  if (name.startsWith('localauthority.v1.')) return request === undefined ? {} : authorityFields(request);
  return rows[name]?.fields?.(request as never, response as never) ?? {};
}

/** Undefined where the method is no batch. */
export function auditedItems(name: string, request: unknown, response: unknown): readonly AuditedItem[] | undefined {
  return rows[name]?.items?.(request as never, response as never);
}

function idField({ id }: { readonly id: SPIFFEID | undefined }): AuditFields {
  return { spiffe_id: idText(id) };
}

function subjectFields(request: service.DeriveIdentityRequest | service.WithdrawIdentityRequest): AuditFields {
  const { templateEntryId, kind, id } = request;
  return { template_entry_id: templateEntryId, subject_kind: kind, subject_id: id };
}

function x509SvidFields(issued: X509SVID | undefined): AuditFields {
  return { spiffe_id: idText(issued?.id), ...certificateFields(issued?.certChain[0]) };
}

function certificateFields(der: Uint8Array | undefined): AuditFields {
  if (der === undefined) return {};
  const certificate = parseCertificate(der);
  return { serial_num: serialDecimal(certificate), expires_at: Math.floor(certificate.notAfter / 1000) };
}

function entryFields(wire: Entry | undefined, mask?: EntryMask): AuditFields {
  if (wire === undefined) return {};
  const of = <T>(name: keyof EntryMask, value: T): T | undefined =>
    mask === undefined || mask[name] ? value : undefined;
  return {
    entry_id: nonEmpty(wire.id),
    spiffe_id: of('spiffeId', idText(wire.spiffeId)),
    parent_id: of('parentId', idText(wire.parentId)),
    selectors: of('selectors', selectorText(wire.selectors)),
    x509_svid_ttl: of('x509SvidTtl', wire.x509SvidTtl),
    jwt_svid_ttl: of('jwtSvidTtl', wire.jwtSvidTtl),
    federates_with: of('federatesWith', list(wire.federatesWith)),
    admin: of('admin', wire.admin),
    downstream: of('downstream', wire.downstream),
    expires_at: of('expiresAt', wire.expiresAt),
    dns_name: of('dnsNames', list(wire.dnsNames)),
    store_svid: of('storeSvid', wire.storeSvid),
    hint: of('hint', wire.hint),
  };
}

type EntryFilter = entry.CountEntriesRequest_Filter | entry.ListEntriesRequest_Filter | undefined;

function entryFilterFields(filter: EntryFilter): AuditFields {
  if (filter === undefined) return {};
  return {
    hint: filter.byHint,
    parent_id: idText(filter.byParentId),
    spiffe_id: idText(filter.bySpiffeId),
    ...selectorMatchFields(filter.bySelectors),
    federates_with: list(filter.byFederatesWith?.trustDomains ?? []),
    downstream: filter.byDownstream,
  };
}

function agentFilterFields(
  filter: agent.ListAgentsRequest_Filter | agent.CountAgentsRequest_Filter | undefined,
): AuditFields {
  if (filter === undefined) return {};
  return {
    node_attestor_type: nonEmpty(filter.byAttestationType),
    by_banned: filter.byBanned,
    by_can_reattest: filter.byCanReattest,
    ...selectorMatchFields(filter.bySelectorMatch),
  };
}

function selectorMatchFields(match: SelectorMatch | undefined): AuditFields {
  if (match === undefined) return {};
  return {
    by_selector_match: selectorMatch_MatchBehaviorToJSON(match.match),
    by_selectors: selectorText(match.selectors),
  };
}

function bundleItems(
  request: { readonly bundle: readonly Bundle[] },
  { results }: Results<{ readonly status: Status | undefined }>,
): AuditedItem[] {
  return results.map(({ status }, i) => {
    const one = request.bundle[i];
    const fields = {
      trust_domain_id: one?.trustDomain,
      refresh_hint: one?.refreshHint,
      sequence_number: one?.sequenceNumber,
    };
    return { status, fields };
  });
}

function rfc3339(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

function idText(id: SPIFFEID | undefined): string | undefined {
  return id === undefined ? undefined : `spiffe://${id.trustDomain}${id.path}`;
}

function selectorText(selectors: readonly Selector[]): string | undefined {
  return list(selectors.map(({ type, value }) => `${type}:${value}`));
}

function list(values: readonly (string | undefined)[]): string | undefined {
  return nonEmpty(values.join(','));
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function digest(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined || bytes.length === 0) return undefined;
  return createHash('sha256').update(bytes).digest('hex');
}
