// Private keys and signed documents by the first bytes of their DER, wherever base64 or hexadecimal of them begins.

/** Tag and length of an ASN.1 SEQUENCE; then what each kind of document begins with. */
const shapes = [
  // INTEGER 0 or 1 (version), SEQUENCE of an OBJECT IDENTIFIER (algorithm): PKCS#8, RFC 5958.
  ['private key (PKCS#8)', /^02010[01]30(?:[0-7].|81..)06/],
  // INTEGER 1, OCTET STRING of a curve's size: SEC 1, RFC 5915.
  ['private key (SEC 1)', /^02010104(?:1c|20|30|42)/],
  // INTEGER 0, INTEGER of a modulus' size: PKCS#1, RFC 8017.
  ['private key (PKCS#1)', /^0201000(?:2[48]1|282)/],
  // SEQUENCE of PBES2's OBJECT IDENTIFIER: an encrypted PKCS#8.
  ['private key (encrypted PKCS#8)', /^30(?:[0-7].|81..|82....)06092a864886f70d01050[0-9a-f]/],
  // OBJECT IDENTIFIER signedData: RFC 2315, how EC2 signs identity documents.
  ['PKCS#7 document', /^06092a864886f70d010702/],
] as const;

export type DerShape = (typeof shapes)[number][0];

const headBytes = 40;
/** A SEQUENCE is 0x30, so its base64 begins with M and one of twelve letters; 0x80 (indefinite length) is among them. */
const base64Start = /(?=(M[A-P][A-Za-z0-9+/_-]{14,}))/g;
const hexStart = /(?=(30(?:[0-7][0-9a-f]|80|81|82)[0-9a-f]{28,}))/gi;

export function derShape(bytes: Uint8Array): DerShape | undefined {
  const hex = Buffer.from(bytes.subarray(0, headBytes)).toString('hex');
  const content = /^30(?:[0-7].|80|81..|82....|83......)(.*)$/.exec(hex)?.[1];
  return content === undefined ? undefined : shapes.find(([, pattern]) => pattern.test(content))?.[0];
}

/** The first such document that a text holds, in base64 of either alphabet or in hexadecimal. */
export function derShapeInText(text: string): DerShape | undefined {
  const heads = [
    ...[...text.matchAll(base64Start)].map(([, head = '']) => Buffer.from(head.slice(0, 56), 'base64')),
    ...[...text.matchAll(hexStart)].map(([, head = '']) => Buffer.from(head.slice(0, 2 * headBytes), 'hex')),
  ];
  for (const head of heads) {
    const shape = derShape(head);
    if (shape !== undefined) return shape;
  }
  return undefined;
}
