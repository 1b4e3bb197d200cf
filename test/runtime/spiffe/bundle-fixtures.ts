// Public key material for bundle tests, made once by the openssl command, valid for a hundred years; the private keys were thrown away.

function decode(lines: readonly string[]): Uint8Array {
  return new Uint8Array(Buffer.from(lines.join(''), 'base64'));
}

/** A self-signed CA certificate, P-256, C=US O=SPIFFE, with the URI name spiffe://td.test. */
export const ecCertificate = decode([
  'MIIBrzCCAVagAwIBAgIUFucOtjmCcj4oOK9QR5DOUL+fHSowCgYIKoZIzj0EAwIwHjELMAkGA1UEBhMCVVMxDzANBgNVBAoMBlNQ',
  'SUZGRTAgFw0yNjExMjQwMjQyMjFaGA8yMTI2MTAzMTAyNDIyMVowHjELMAkGA1UEBhMCVVMxDzANBgNVBAoMBlNQSUZGRTBZMBMG',
  'ByqGSM49AgEGCCqGSM49AwEHA0IABCka1U/iYFkb/7uIbKjPsxFcRV+WC0wUEuZhgU9182tzC3dMZE1fWjVRJGsExdCu9LlQZChW',
  '85M3p3nhbT55p5mjcDBuMB0GA1UdDgQWBBQFavzVXA3ZLroEgGkV/c7LIlvhiTAfBgNVHSMEGDAWgBQFavzVXA3ZLroEgGkV/c7L',
  'IlvhiTAPBgNVHRMBAf8EBTADAQH/MBsGA1UdEQQUMBKGEHNwaWZmZTovL3RkLnRlc3QwCgYIKoZIzj0EAwIDRwAwRAIhAI+345y5',
  'GO+SjH+29NwNmV/xOR0lHzpxFzR5msQ6LotUAh8NUftYSBAaYDiiBxkUKw1sJCv1YXSkmGgAADVT/s2s',
]);

/** The public key of that certificate, PKIX. */
export const ecPublicKey = decode([
  'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKRrVT+JgWRv/u4hsqM+zEVxFX5YLTBQS5mGBT3Xza3MLd0xkTV9aNVEkawTF0K70',
  'uVBkKFbzkzeneeFtPnmnmQ==',
]);

/** A self-signed CA certificate, RSA 2048, C=US O=SPIFFE, without other names. */
export const rsaCertificate = decode([
  'MIIDHzCCAgegAwIBAgIUSqgWPpFFexfxJeFPhdfTomAmwI4wDQYJKoZIhvcNAQELBQAwHjELMAkGA1UEBhMCVVMxDzANBgNVBAoM',
  'BlNQSUZGRTAgFw0yNjExMjQwMjQyMjFaGA8yMTI2MTAzMTAyNDIyMVowHjELMAkGA1UEBhMCVVMxDzANBgNVBAoMBlNQSUZGRTCC',
  'ASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAM70/ViCohamJMmcj7vaIvJLBfTcRgJn4mhcf9U6PYJLoI43bIibVivNh0/u',
  '4DBFnmRGFhiz07US8bwBCAQyn1+YHOiXq+RXpRQMbBrVhL12eYhq1KXEPmG61keuszeWf5m+HsRdcbPYJ27QWrXRMYo/N+bb+lY8',
  'KH80HgojN4ZwudHmCQzBIVrg4vXlIIDPIwoI4bEO+XaVtmm/y6fK8a6GyfYwvikyo1sCNl2A31WviodAHFk3T9AsrTywb34GOYgO',
  '2xz0E7Xz3WrNGmziMwZGOn9LrJOJGCtMPUQIBquZ638XYmkcxw3jczz6hTeyFWasBplx3NPXKOXQM0LZnzsCAwEAAaNTMFEwHQYD',
  'VR0OBBYEFCNgHiFEnam6T3u0Kcw8D6+iQ3iTMB8GA1UdIwQYMBaAFCNgHiFEnam6T3u0Kcw8D6+iQ3iTMA8GA1UdEwEB/wQFMAMB',
  'Af8wDQYJKoZIhvcNAQELBQADggEBAMkCA7W7eInLrMKJrCtUk2/O9M5Y5SUC/nIHzK1bDQdarX86hcb44XFwEI25dBalr0C7IjPG',
  'q3vd4AhFRXSqcNGXUChXoZ23G/dYz9Zr/Bu1MIGzgghCO0H1ISwrtKZfrYlelrx5OGWOOeMj/G9cCIOeNsgvUWeDcWmpxeXF7lN5',
  'peeuTxH7Y6jcDZNrC8XCE7glNPaep1gp7yiSplqmjDeaTmpUhb2qjGJwkFwAjKk9wOLA0IsZuCiJ+py7UKpxulu637DUctWIEL2O',
  'K0L65WzyHqPYGtA/H7q7A0ykyLME8I6cJYD5yJIrp/V0KIi5q1JcMUWiUjlQQ2O2u3Ex6kk=',
]);
