// Server half of aws_iid: a document that AWS signed for its region, an instance that AWS still has and whose disk is its own, once per instance.
import { agentIdOf } from '../agent-path-template.ts';
import { undecided } from '../attest-error.ts';
import type { ServerAttestor, ServerAttestorDeps } from '../attestor.ts';
import { checkFirstUse } from '../first-use.ts';
import { checkPayload, parseJson } from '../payload.ts';
import { PluginConfigError } from '../plugin-config.ts';
import type { PluginData } from '../plugin-config.ts';
import { createAwsInstances } from './aws-instances.ts';
import type { ListClusterNodes } from './cluster-nodes.ts';
import { createClusters } from './clusters.ts';
import { attestationDataSchema } from './identity-document.ts';
import type { IdentityDocument } from './identity-document.ts';
import { checkRootVolume, checkSameInstance } from './instance-record.ts';
import type { AwsInstances, InstanceRecord } from './instance-record.ts';
import { createOrganization } from './organization.ts';
import type { ListAccounts } from './organization.ts';
import { loadRegionCertificates } from './region-certificates.ts';
import { profileNameOf, selectorValues } from './selectors.ts';
import { awsIidPlugin, parseAwsIidConfig } from './server-config.ts';
import type { AwsIidConfig } from './server-config.ts';
import { verifyDocument } from './verify-document.ts';
import type { FindRegionCertificate } from './verify-document.ts';

const type = 'aws_iid';

/** `instances` and the lists are AWS itself where they are left out. */
export function createAwsIidServerAttestor(
  data: PluginData,
  deps: ServerAttestorDeps & {
    instances?: AwsInstances;
    listAccounts?: ListAccounts;
    listClusterNodes?: ListClusterNodes;
  },
): ServerAttestor {
  const config = parseAwsIidConfig(data);
  const findCertificate = loadCertificates(config);
  const { trustDomain, log, instances = createAwsInstances(config, deps) } = deps;

  const organization = createOrganization(config, deps);
  const clusters = createClusters(config, deps);

  async function selectorsOf(document: IdentityDocument, record: InstanceRecord, signal: AbortSignal) {
    const { instanceProfileArn: arn } = record;
    const wanted = arn !== undefined && !config.disable_instance_profile_selectors;
    const roleArns = wanted ? await instances.roleArns(document, profileNameOf(arn), signal) : [];
    return selectorValues(document, record, roleArns).map((value) => ({ type, value }));
  }

  return {
    type,
    async attest(payload, _challenge, context) {
      checkPayload(payload);
      const evidence = parseJson(payload, attestationDataSchema, 'PAYLOAD_MALFORMED', 'attestation data');
      const document = verifyDocument(evidence, findCertificate);

      await organization?.checkMember(document.accountId, context.signal);
      await clusters?.checkNode(document, context.signal);

      const record = await instances.find(document, context.signal);
      if (record === undefined)
        throw undecided(
          'INSTANCE_NOT_FOUND',
          `failed to describe instance: ${document.instanceId} is not pending or running`,
        );
      checkSameInstance(record, document);
      if (!config.skip_block_device && !config.account_ids_for_local_validation.includes(document.accountId))
        checkRootVolume(record);

      const values = {
        PluginName: type,
        AccountID: document.accountId,
        Region: document.region,
        InstanceID: document.instanceId,
        TrustDomain: trustDomain.name,
        Tags: record.tags,
      };
      const spiffeId = agentIdOf(config.agent_path_template, values, trustDomain);
      await checkFirstUse(spiffeId, context, log);
      return { spiffeId, selectors: await selectorsOf(document, record, context.signal), canReattest: false };
    },
  };
}

function loadCertificates(config: AwsIidConfig): FindRegionCertificate {
  try {
    return loadRegionCertificates(config.region_certificates);
  } catch (cause) {
    throw new PluginConfigError(awsIidPlugin, [
      `region_certificates: ${cause instanceof Error ? cause.message : String(cause)}`,
    ]);
  }
}
