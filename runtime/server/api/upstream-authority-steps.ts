// Tainting and revoking an authority of the upstream, which may be asked of any server: all of them sign under it, so none may while it is tainted.
import type { Logger } from '../../log.ts';
import { failedPrecondition, invalidArgument } from '../../rpc/status.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import { attempt } from './refusal.ts';

export interface UpstreamStepsOptions {
  readonly authority: Pick<CertificateAuthority, 'x509' | 'x509Upstream'>;
  readonly log: Logger;
}

export function createUpstreamSteps({ authority, log }: UpstreamStepsOptions) {
  const configured = () => {
    if (authority.x509Upstream === undefined) throw failedPrecondition('upstream authority is not configured');
    return authority.x509Upstream;
  };

  /** What is wrong with this ID: SPIRE's rules, for all live servers and not for this one alone. */
  const faultOf = async (id: string): Promise<string | undefined> => {
    if (id === '') return 'no subject key ID provided';
    const servers = await attempt('failed to look at the other servers', () => authority.x509.everywhere());
    // SPIRE's own spelling.
    if (servers.some(({ active }) => active?.upstreamAuthorityId === id))
      return 'unable to use upstream authority singing current authority';
    if (servers.some(({ prepared }) => prepared?.upstreamAuthorityId === id))
      return 'only upstream authorities signing an old authority can be used';
    if (!servers.some(({ old }) => old?.upstreamAuthorityId === id))
      return "upstream authority didn't sign the old local authority";
    return undefined;
  };

  return {
    async taint(subjectKeyId: string) {
      const upstream = configured();
      const id = subjectKeyId.toLowerCase();
      const fault = await faultOf(id);
      if (fault !== undefined) throw invalidArgument(`provided subject key id is not valid: ${fault}`);
      await attempt('failed to taint upstream authority', () => upstream.taint(id));
      log.info({ subject_key_id: id }, 'X.509 upstream authority tainted successfully');
      return { upstreamAuthoritySubjectKeyId: id };
    },
    async revoke(subjectKeyId: string) {
      const upstream = configured();
      const id = subjectKeyId.toLowerCase();
      const fault = await faultOf(id);
      if (fault !== undefined) throw invalidArgument(`invalid subject key ID: ${fault}`);
      await attempt('failed to revoke X.509 upstream authority', () => upstream.revoke(id));
      log.info({ subject_key_id: id }, 'X.509 upstream authority successfully revoked');
      return { upstreamAuthoritySubjectKeyId: id };
    },
  };
}
