// The certificates that AWS signs instance identity documents with: those AWS publishes, and those the configuration puts in their place or adds.
import { readFileSync } from 'node:fs';
import { parseCertificate } from '../../pki/certificate.ts';
import { certificatesFromPem } from '../../pki/pem.ts';
import type { Certificate } from '../../pki/certificate.ts';
import type { FindRegionCertificate } from './verify-document.ts';

const published = new URL('./region-certificates.pem', import.meta.url);
const entry = /^# ([a-z0-9-]+)\n(-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----)$/gm;

/** `configured` maps a region to a PEM file. Throws where one cannot be read or holds more or less than one certificate. */
export function loadRegionCertificates(configured: Readonly<Record<string, string>>): FindRegionCertificate {
  const texts = new Map(
    Array.from(readFileSync(published, 'utf8').matchAll(entry), ([, region, pem]) => [region, pem]),
  );
  const certificates = new Map(Object.entries(configured).map(([region, path]) => [region, readFile(path)]));

  return (region) => {
    const known = certificates.get(region);
    const text = texts.get(region);
    if (known !== undefined || text === undefined) return known;
    const certificate = only(certificatesFromPem(text)); // parsed at first use: few servers see many regions
    certificates.set(region, certificate);
    return certificate;
  };
}

function readFile(path: string): Certificate {
  return only(certificatesFromPem(readFileSync(path, 'utf8')));
}

function only(ders: readonly Uint8Array[]): Certificate {
  const [der, ...others] = ders;
  if (der === undefined || others.length > 0) throw new Error(`found ${ders.length} certificates, want 1`);
  return parseCertificate(der);
}
