// Why attestation failed: the gRPC code that the peer sees, and the refusal's own name, which logs and tests go by.

export type AttestCode = 'INVALID_ARGUMENT' | 'PERMISSION_DENIED' | 'INTERNAL' | 'FAILED_PRECONDITION' | 'UNAVAILABLE';

/** One name for each rule that evidence can break. */
export type AttestRefusal =
  // any method
  | 'PAYLOAD_EMPTY'
  | 'PAYLOAD_TOO_LARGE'
  | 'PAYLOAD_MALFORMED'
  | 'ALREADY_ATTESTED'
  | 'AGENT_PATH'
  | 'CHALLENGE_UNEXPECTED'
  | 'EVIDENCE_UNAVAILABLE'
  // x509pop
  | 'CERTIFICATE_MISSING'
  | 'CERTIFICATE_MALFORMED'
  | 'CHAIN_TOO_LONG'
  | 'KEY_TOO_LARGE'
  | 'KEY_TYPE'
  | 'KEY_USAGE'
  | 'CHAIN_UNTRUSTED'
  | 'CLIENT_ADDRESS'
  | 'CHALLENGE_MALFORMED'
  | 'NONCE_LENGTH'
  | 'POSSESSION_UNPROVEN'
  | 'SVID_PREFIX'
  // aws_iid
  | 'DOCUMENT_MALFORMED'
  | 'SIGNATURE_MISSING'
  | 'REGION_UNKNOWN'
  | 'PKCS7_MALFORMED'
  | 'SIGNER_COUNT'
  | 'SIGNER_UNKNOWN'
  | 'SIGNATURE_ALGORITHM'
  | 'SIGNED_ATTRIBUTES'
  | 'DIGEST_MISMATCH'
  | 'SIGNATURE_INVALID'
  | 'CONTENT_MISMATCH'
  | 'INSTANCE_NOT_FOUND'
  | 'INSTANCE_MISMATCH'
  | 'NETWORK_INTERFACE_MISSING'
  | 'ROOT_VOLUME_MISSING'
  | 'ROOT_VOLUME_SWAPPED'
  | 'CLOUD_UNAVAILABLE'
  | 'NOT_IN_ORGANIZATION'
  | 'NOT_IN_CLUSTER'
  // gcp_iit
  | 'TOKEN_MALFORMED'
  | 'TOKEN_ALGORITHM'
  | 'TOKEN_KEY_UNKNOWN'
  | 'TOKEN_SIGNATURE'
  | 'TOKEN_ISSUER'
  | 'TOKEN_AUDIENCE'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_NOT_YET_VALID'
  | 'TOKEN_CLAIMS'
  | 'PROJECT_NOT_ALLOWED'
  | 'METADATA_TOO_LARGE'
  | 'KEYS_UNAVAILABLE'
  // k8s_psat
  | 'CLUSTER_UNKNOWN'
  | 'CLUSTER_UNAVAILABLE'
  | 'TOKEN_UNAUTHENTICATED'
  | 'TOKEN_REVIEW'
  | 'SERVICE_ACCOUNT'
  | 'SERVICE_ACCOUNT_NOT_ALLOWED'
  | 'POD_UNBOUND'
  | 'POD_NOT_FOUND'
  | 'POD_REPLACED'
  | 'NODE_UNKNOWN';

export class AttestError extends Error {
  readonly code: AttestCode;
  readonly refusal: AttestRefusal;

  constructor(code: AttestCode, refusal: AttestRefusal, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'AttestError';
    this.code = code;
    this.refusal = refusal;
  }
}

type Constructor = (refusal: AttestRefusal, message: string, cause?: unknown) => AttestError;

function constructorOf(code: AttestCode): Constructor {
  return (refusal, message, cause) => new AttestError(code, refusal, message, cause === undefined ? {} : { cause });
}

/** The evidence is not what it must be. */
export const invalidEvidence = constructorOf('INVALID_ARGUMENT');
/** The evidence is sound and still not good enough. */
export const deniedEvidence = constructorOf('PERMISSION_DENIED');
/** We, or the cloud that we asked, could not decide. */
export const undecided = constructorOf('INTERNAL');
