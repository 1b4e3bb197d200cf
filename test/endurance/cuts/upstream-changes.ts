// The authority above a server is tainted and revoked, once the server signs under its successor. Only a server below one can be asked: CutStage.below.
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { outputMask, withoutMissing } from './change.ts';
import type { Change, Prepare } from './change.ts';
import type { CutStage } from './cut-stage.ts';

async function upstreamChange(stage: CutStage, step: 'taint' | 'revoke'): Promise<Change> {
  const { authority, bundle } = stage;
  const retired = (await authority.getX509AuthorityState({})).active!.upstreamAuthoritySubjectKeyId;
  stage.replaceUpstream();
  const { preparedAuthority } = await authority.prepareX509Authority({});
  await authority.activateX509Authority({ authorityId: preparedAuthority!.authorityId });
  const taint = () =>
    withoutMissing(() => authority.taintX509UpstreamAuthority({ subjectKeyId: retired }), /already tainted/);
  const held = async () => {
    const { x509Authorities } = await bundle.getBundle({ outputMask });
    return x509Authorities.find(
      ({ asn1 }) => Buffer.from(parseCertificate(asn1).subjectKeyId ?? []).toString('hex') === retired,
    );
  };
  if (step === 'taint') return { make: taint, measure: async () => Number((await held())?.tainted === true) };
  await taint();
  return {
    make: () => authority.revokeX509UpstreamAuthority({ subjectKeyId: retired }),
    measure: async () => Number((await held()) === undefined),
  };
}

export const upstreamChanges = {
  TaintX509UpstreamAuthority: (stage) => upstreamChange(stage, 'taint'),
  RevokeX509UpstreamAuthority: (stage) => upstreamChange(stage, 'revoke'),
} satisfies Readonly<Record<string, Prepare>>;
