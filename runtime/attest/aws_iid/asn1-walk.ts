// Walks an ASN.1 tree that node-forge decoded. Forge is used for it because AWS's signatures come in BER, with lengths left open, which our own
// DER reader rightly refuses. Forge decodes and nothing more: no signature and no digest is its business.
import forge from 'node-forge';

export type Asn1 = forge.asn1.Asn1;

/** More than any SignedData needs; forge stops there instead of at the end of the stack. */
const maxDepth = 32;
const universal = forge.asn1.Class.UNIVERSAL;
const contextSpecific = forge.asn1.Class.CONTEXT_SPECIFIC;

export const types = forge.asn1.Type;

/** Throws an Error where the bytes are not one whole ASN.1 value. */
export function decodeBer(bytes: Uint8Array): Asn1 {
  const options = { strict: true, parseAllBytes: true, decodeBitStrings: false, maxDepth };
  // The declared type of the second parameter knows only the first of these options.
  return forge.asn1.fromDer(Buffer.from(bytes).toString('latin1'), options as unknown as boolean);
}

export function encodeDer(node: Asn1): Uint8Array {
  return latin1Bytes(forge.asn1.toDer(node).getBytes());
}

/** The same elements as a SET, whatever tag they came under. */
export function asSet(elements: readonly Asn1[]): Asn1 {
  return forge.asn1.create(universal, types.SET, true, [...elements]);
}

/** The elements of a node that must be there and of that universal type. */
export function elementsOf(node: Asn1 | undefined, type: forge.asn1.Type): Asn1[] {
  if (node?.tagClass !== universal || node.type !== type || !Array.isArray(node.value))
    throw new Error(`ASN.1 type ${type} expected`);
  return node.value;
}

/** The elements below `[number]`; undefined where the node is something else. */
export function taggedElements(node: Asn1 | undefined, number: number): Asn1[] | undefined {
  if (node?.tagClass !== contextSpecific || (node.type as number) !== number || !Array.isArray(node.value))
    return undefined;
  return node.value;
}

/** The content of a primitive node that must be there and of that universal type. */
export function bytesOf(node: Asn1 | undefined, type: forge.asn1.Type): Uint8Array {
  if (node?.tagClass !== universal || node.type !== type || typeof node.value !== 'string')
    throw new Error(`ASN.1 type ${type} expected`);
  return latin1Bytes(node.value);
}

export function oidOf(node: Asn1 | undefined): string {
  const bytes = bytesOf(node, types.OID);
  return forge.asn1.derToOid(Buffer.from(bytes).toString('latin1'));
}

/** An OCTET STRING, in one piece or, as BER allows, in several. */
export function octetsOf(node: Asn1 | undefined): Uint8Array {
  if (node?.tagClass !== universal || node.type !== types.OCTETSTRING) throw new Error('octet string expected');
  return typeof node.value === 'string' ? latin1Bytes(node.value) : Buffer.concat(node.value.map(octetsOf));
}

function latin1Bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}
