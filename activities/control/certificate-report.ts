// A certificate as reports show it: public, short, and comparable.
import { createHash } from 'node:crypto';
import type { Certificate } from '../../runtime/pki/certificate.ts';
import { serialDecimal, subjectText } from '../../runtime/pki/certificate.ts';
import type { CertificateReport } from '../inputs.ts';

export function reportCertificate(certificate: Certificate): CertificateReport {
  return {
    subject: subjectText(certificate),
    uris: certificate.uris,
    serialNumber: serialDecimal(certificate),
    notAfter: new Date(certificate.notAfter).toISOString(),
    sha256: createHash('sha256').update(certificate.der).digest('hex'),
  };
}
