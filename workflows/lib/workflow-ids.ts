// The ids of workflows: `<workflow>/<trust domain>[/<subject>]`. `trustChange/<trust domain>` is the lock under which trust changes.
export function workflowId(workflow: string, trustDomain: string, ...subject: readonly string[]): string {
  return [workflow, trustDomain, ...subject].join('/');
}
