// The ASN.1 tags that certificates, requests and keys are made of.

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
} as const;

/** A context-specific tag that holds bytes, as in GeneralName's `[6] IMPLICIT IA5String`. */
export function contextPrimitive(number: number): number {
  return 0x80 | number;
}

/** A context-specific tag that holds elements, as in a certificate's `[3] EXPLICIT Extensions`. */
export function contextConstructed(number: number): number {
  return 0xa0 | number;
}
