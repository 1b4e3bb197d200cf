// The instances of EKS clusters: those in the Auto Scaling groups of their node groups, as AWS lists them in one account and region.
import * as z from 'zod';
import type { CredentialSources } from './credentials.ts';
import type { AwsIidConfig } from './server-config.ts';
import { queryOf } from './sign-request.ts';
import { createAwsCall, endpointOf, placeCredentials } from './signed-call.ts';

export interface Place {
  readonly region: string;
  readonly accountId: string;
}
/** IDs of the instances. */
export type ListClusterNodes = (place: Place, signal: AbortSignal) => Promise<ReadonlySet<string>>;

const groupName = z.string().regex(/^[\w-]+$/);
const groupsSchema = z.object({ nodegroups: z.array(groupName), nextToken: z.string().nullish() });
const groupSchema = z.object({
  nodegroup: z.object({
    resources: z.object({ autoScalingGroups: z.array(z.object({ name: z.string() })).nullish() }).nullish(),
  }),
});

export function createListClusterNodes(
  clusters: readonly string[],
  config: AwsIidConfig,
  sources: CredentialSources,
): ListClusterNodes {
  const domain = config.partition === 'aws-cn' ? 'amazonaws.com.cn' : 'amazonaws.com';

  return async (place, signal) => {
    const { region } = place;
    const call = createAwsCall(await placeCredentials(config, place, sources)(), sources);
    const eks = endpointOf('eks', `https://eks.${region}.${domain}`, sources);
    const autoscaling = endpointOf('autoscaling', `https://autoscaling.${region}.${domain}`, sources);

    const askEks = async (path: string): Promise<unknown> => {
      const request = { service: 'eks', region, url: `${eks}${path}`, method: 'GET', headers: {}, body: '' } as const;
      return JSON.parse(await call(request, signal));
    };

    async function* nodeGroupsOf(cluster: string): AsyncGenerator<string> {
      let query = '';
      do {
        const page = groupsSchema.parse(await askEks(`/clusters/${cluster}/node-groups${query}`));
        yield* page.nodegroups;
        query = typeof page.nextToken === 'string' ? `?${queryOf('nextToken', page.nextToken)}` : '';
      } while (query !== '');
    }

    async function* instancesOf(scalingGroup: string): AsyncGenerator<string> {
      let token: string | undefined;
      do {
        const form = new URLSearchParams({
          Action: 'DescribeAutoScalingGroups',
          Version: '2011-01-01',
          'AutoScalingGroupNames.member.1': scalingGroup,
          ...(token === undefined ? {} : { NextToken: token }),
        });
        const headers = { 'content-type': 'application/x-www-form-urlencoded' };
        const body = form.toString();
        const xml = await call(
          { service: 'autoscaling', region, url: autoscaling, method: 'POST', headers, body },
          signal,
        );
        if (!xml.includes('<DescribeAutoScalingGroupsResult>'))
          throw new Error('autoscaling: answer is not a list of groups');
        yield* textsOf(xml, 'InstanceId');
        token = textsOf(xml, 'NextToken').at(0);
      } while (token !== undefined);
    }

    const nodes = new Set<string>();
    for (const cluster of clusters) {
      for await (const name of nodeGroupsOf(cluster)) {
        const { nodegroup } = groupSchema.parse(await askEks(`/clusters/${cluster}/node-groups/${name}`));
        for (const group of nodegroup.resources?.autoScalingGroups ?? [])
          for await (const instance of instancesOf(group.name)) nodes.add(instance);
      }
    }
    return nodes;
  };
}

/** Of elements without children. What users wrote, such as tags, is escaped in XML and cannot look like an element. */
function textsOf(xml: string, element: string): string[] {
  return [...xml.matchAll(new RegExp(`<${element}>([^<&]+)</${element}>`, 'g'))].flatMap(([, text]) => text ?? []);
}
