// Whom machines of one role are in Google Cloud: a service account under the name that attestation looks for, which may read its own secrets.
// Attesting and taking commands need no right there.
import { accountId } from '../../../../activities/spec/resource-names.ts';
import { known, reported } from '../../composed.ts';
import type { Built, Scope } from '../../composed.ts';
import type { IdentitySpec } from '../../specs.ts';
import { gcpIdentity, readsSecret } from '../gcp-identity.ts';

export function buildGcpIdentity(scope: Scope, { trustDomain, role, project, secrets }: IdentitySpec): Built {
  const subject = reported(scope, 'identity', 'uniqueId');
  const account = accountId(trustDomain, role);
  return {
    resources: gcpIdentity(scope, project, secrets.map(readsSecret), account),
    status: known({ reference: `${account}@${project ?? ''}.iam.gserviceaccount.com`, subject }),
    waitingFor: subject === undefined ? ['the id of the service account'] : [],
  };
}
