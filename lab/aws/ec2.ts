// The EC2 Query API: its actions, collected.
import type { QueryService } from './front-door.ts';
import { authorize } from './principals.ts';
import { instanceActions } from './ec2-instances.ts';
import { securityGroupActions } from './ec2-security-groups.ts';
import { regions } from './state.ts';

export const ec2: QueryService = {
  ...instanceActions,
  ...securityGroupActions,

  DescribeRegions(call) {
    authorize(call.principal, 'ec2:DescribeRegions', '*');
    return {
      regionInfo: regions.map((regionName) => ({
        regionName,
        regionEndpoint: `ec2.${regionName}.amazonaws.com`,
        optInStatus: 'opt-in-not-required',
      })),
    };
  },
};
