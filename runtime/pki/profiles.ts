// The two kinds of certificate that a server signs, CA and X509-SVID: which extensions they carry and how those are written.
import { concatBytes, encodeTree } from './der/writer.ts';
import { encodeBasicConstraints, encodeExtendedKeyUsage, encodeExtension } from './extensions.ts';
import { encodeKeyUsage } from './key-usage.ts';
import type { KeyUsageName } from './key-usage.ts';
import { extensionOids, purposeOids } from './oids.ts';

export interface Profile {
  readonly name: string;
  readonly isCa: boolean;
  readonly keyUsage: readonly KeyUsageName[];
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** Key usage, purposes and basic constraints, in the order in which Go writes them. */
  readonly fixedExtensions: Uint8Array;
}

type ProfileRules = Omit<Profile, 'fixedExtensions'>;

function withExtensions(rules: ProfileRules): Profile {
  const { isCa, keyUsage, extendedKeyUsage } = rules;
  const purposes = extendedKeyUsage === undefined ? [] : [encodeExtendedKeyUsage(extendedKeyUsage)];
  return {
    ...rules,
    fixedExtensions: concatBytes(
      [
        encodeExtension(extensionOids.keyUsage, true, encodeKeyUsage(keyUsage)),
        ...purposes.map((value) => encodeExtension(extensionOids.extendedKeyUsage, false, value)),
        encodeExtension(extensionOids.basicConstraints, true, encodeBasicConstraints(isCa)),
      ].map(encodeTree),
    ),
  };
}

export const caProfile = withExtensions({
  name: 'X.509 CA',
  isCa: true,
  keyUsage: ['certSign', 'crlSign'],
  extendedKeyUsage: undefined,
});

export const svidProfile = withExtensions({
  name: 'X509-SVID',
  isCa: false,
  keyUsage: ['digitalSignature', 'keyEncipherment', 'keyAgreement'],
  extendedKeyUsage: [purposeOids.serverAuth, purposeOids.clientAuth],
});
