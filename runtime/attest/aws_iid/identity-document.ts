// The instance identity document and the payload that carries it, as AWS and SPIRE write them. Fields that nothing here needs are left aside.
import * as z from 'zod';

/** What ends up in addresses, agent paths and selectors has its exact form checked, though AWS signed it. */
export const documentSchema = z.object({
  accountId: z.string().regex(/^\d{12}$/),
  region: z.string().regex(/^[a-z]{2,4}(-[a-z]+)+-\d+$/),
  availabilityZone: z.string().min(1),
  instanceId: z.string().regex(/^i-[0-9a-f]+$/),
  imageId: z.string().min(1),
});

export type IdentityDocument = z.output<typeof documentSchema>;

export const attestationDataSchema = z.object({
  document: z.string(),
  signature: z.string().default(''),
  /** Base64 of PKCS#7, line breaks and all. */
  rsa2048: z.string().default(''),
});

export type AttestationData = z.output<typeof attestationDataSchema>;
