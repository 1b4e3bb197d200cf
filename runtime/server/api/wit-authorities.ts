// Authorities for WIT-SVIDs: methods that SPIRE has, and answers that it gives, for there are none behind them in SPIRE either.
import type { LocalAuthorityService } from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import type { Handlers } from '../../rpc/service.ts';
import { unimplemented } from '../../rpc/status.ts';

async function refuse(): Promise<never> {
  throw unimplemented('WIT-SVID functionality is not yet implemented');
}

export const witAuthorityMethods: Handlers<typeof LocalAuthorityService> = {
  getWitAuthorityState: refuse,
  prepareWitAuthority: refuse,
  activateWitAuthority: refuse,
  taintWitAuthority: refuse,
  revokeWitAuthority: refuse,
};
