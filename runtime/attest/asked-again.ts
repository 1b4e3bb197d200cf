// How an agent of ours says that it asks for the answer to an attestation that it has begun: with the key of that attestation. A plain SPIRE server
// does not read it; without it, evidence that is taken once is taken once, whatever the key.

/** Metadata of AttestAgent. */
export const askedAgainHeader = 'espalier-attestation';
export const askedAgainValue = 'again';
