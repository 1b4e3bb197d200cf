// IAM's service accounts: the identities that instances run as.
import { randomInt } from 'node:crypto';
import { GcpError } from './errors.ts';
import { object, optionalText, paginate, text } from './fields.ts';
import type { GcpCall, Route } from './front-door.ts';
import { encodePolicy, readPolicy } from './policies.ts';
import { authorize } from './principals.ts';
import { emptyPolicy, project } from './state.ts';
import type { ServiceAccount } from './state.ts';

const collection = '/v1/projects/{project}/serviceAccounts';

export const serviceAccountRoutes: readonly Route[] = [
  {
    route: `POST ${collection}`,
    answer({ context, principal, body }) {
      authorize(context, principal, 'iam.serviceAccounts.create', project);
      const accountId = text(body, 'accountId');
      if (!/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(accountId)) {
        throw new GcpError(
          'INVALID_ARGUMENT',
          `accountId must have 6 to 30 lower-case letters, digits and dashes: ${accountId}`,
        );
      }
      const { serviceAccounts } = context.state.gcp;
      if (serviceAccounts.some((account) => account.accountId === accountId)) {
        throw new GcpError(
          'ALREADY_EXISTS',
          `Service account ${accountId} already exists within project projects/${project}.`,
        );
      }
      const details = object(body, 'serviceAccount');
      const account: ServiceAccount = {
        accountId,
        email: `${accountId}@${project}.iam.gserviceaccount.com`,
        // 21 digits that name this account and no later one of the same email.
        uniqueId: `1${Array.from({ length: 20 }, () => randomInt(10)).join('')}`,
        displayName: optionalText(details, 'displayName') ?? '',
        description: optionalText(details, 'description') ?? '',
        policy: emptyPolicy(),
      };
      if (account.displayName.length > 100)
        throw new GcpError('INVALID_ARGUMENT', 'displayName is limited to 100 characters');
      serviceAccounts.push(account);
      context.save();
      return encode(account);
    },
  },
  {
    route: `GET ${collection}`,
    answer({ context, principal, query }) {
      authorize(context, principal, 'iam.serviceAccounts.list', project);
      const { page, ...more } = paginate(context.state.gcp.serviceAccounts, query, 'pageSize');
      return { ...(page.length === 0 ? {} : { accounts: page.map(encode) }), ...more };
    },
  },
  { route: `GET ${collection}/{account}`, answer: (call) => encode(find(call, 'iam.serviceAccounts.get')) },
  {
    route: `DELETE ${collection}/{account}`,
    answer(call) {
      const account = find(call, 'iam.serviceAccounts.delete');
      const { gcp } = call.context.state;
      gcp.serviceAccounts = gcp.serviceAccounts.filter((other) => other !== account);
      call.context.save();
      return {};
    },
  },
  {
    route: `POST ${collection}/{account}:getIamPolicy`,
    answer: (call) => encodePolicy(find(call, 'iam.serviceAccounts.getIamPolicy').policy),
  },
  {
    route: `POST ${collection}/{account}:setIamPolicy`,
    answer(call) {
      const account = find(call, 'iam.serviceAccounts.setIamPolicy');
      account.policy = readPolicy(call, account.policy);
      call.context.save();
      return encodePolicy(account.policy);
    },
  },
];

function find({ context, principal, part }: GcpCall, permission: string): ServiceAccount {
  const name = part('account');
  const account = context.state.gcp.serviceAccounts.find(({ email, uniqueId }) => email === name || uniqueId === name);
  authorize(context, principal, permission, name, account?.policy);
  if (account === undefined) throw new GcpError('NOT_FOUND', `Unknown service account: ${name}`);
  return account;
}

function encode(account: ServiceAccount): object {
  return {
    name: `projects/${project}/serviceAccounts/${account.email}`,
    projectId: project,
    uniqueId: account.uniqueId,
    email: account.email,
    displayName: account.displayName,
    description: account.description,
    oauth2ClientId: account.uniqueId,
  };
}
