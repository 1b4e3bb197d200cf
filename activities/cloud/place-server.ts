// From what a workflow knows of a server to the instance that runs it: its identity in the cloud and its boot script. Pure.
import { serverBootScript } from '../boot/server.ts';
import { authoritySecretPrefix, databaseSecretName, settingsOf } from '../cloud.ts';
import type { CreateInstance } from '../cloud.ts';
import type { PlaceServer } from '../inputs.ts';

export function placeServer(input: PlaceServer): CreateInstance {
  const { plan, pool, name, region, owner, upstream, worker, clusterNodes, awsRoleArn } = input;
  const { spec } = plan;
  const bootScript = serverBootScript({
    kind: pool.role,
    name,
    cloud: pool.cloud,
    region,
    spec,
    artifact: plan.artifact,
    substrate: plan.substrate,
    databaseSecret: databaseSecretName(spec.trustDomain, pool.name),
    authoritySecrets: pool.authority === 'disk' ? authoritySecretPrefix(spec.trustDomain) : undefined,
    caTtl: pool.caTtl,
    adminId: plan.workerId,
    attestors: pool.attestors,
    awsRoleArn,
    worker,
    clusterNodes,
    upstream,
  });
  const settings = settingsOf(spec, pool);
  return { trustDomain: spec.trustDomain, name, region, owner, bootScript, settings, role: pool.identity };
}
