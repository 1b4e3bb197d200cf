// The project itself: its policy. (Cloud Resource Manager, v1 and v3.)
import { authorize } from './principals.ts';
import type { GcpCall, Route } from './front-door.ts';
import { encodePolicy, readPolicy } from './policies.ts';
import { project, projectNumber } from './state.ts';

export const projectRoutes: readonly Route[] = [
  { route: 'POST /v1/projects/{project}:getIamPolicy', answer: getPolicy },
  { route: 'POST /v3/projects/{project}:getIamPolicy', answer: getPolicy },
  { route: 'POST /v1/projects/{project}:setIamPolicy', answer: setPolicy },
  { route: 'POST /v3/projects/{project}:setIamPolicy', answer: setPolicy },
  {
    route: 'GET /v1/projects/{project}',
    answer: ({ context, principal }) => {
      authorize(context, principal, 'resourcemanager.projects.get', project);
      return { projectId: project, projectNumber: String(projectNumber), name: project, lifecycleState: 'ACTIVE' };
    },
  },
];

function getPolicy({ context, principal }: GcpCall): object {
  authorize(context, principal, 'resourcemanager.projects.getIamPolicy', project);
  return encodePolicy(context.state.gcp.projectPolicy);
}

function setPolicy(call: GcpCall): object {
  const { context, principal } = call;
  authorize(context, principal, 'resourcemanager.projects.setIamPolicy', project);
  const { gcp } = context.state;
  gcp.projectPolicy = readPolicy(call, gcp.projectPolicy);
  context.save();
  return encodePolicy(gcp.projectPolicy);
}
