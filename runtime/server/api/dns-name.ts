// DNS names that an entry or a CSR may ask for: ASCII, strict hostname characters, at most one wildcard and that as the whole first label. A name
// is taken exactly as it is written or not at all.
import { domainToASCII, domainToUnicode } from 'node:url';

const longestName = 253;
const longestLabel = 63;

/** Throws where the name may not go into a certificate. */
export function checkDnsName(name: string): void {
  if (!isAscii(name)) throw new Error('name must be ascii');
  const stars = name.split('*').length - 1;
  if (stars > 1) throw new Error('too many wildcards');
  if (stars === 1 && !name.startsWith('*.')) throw new Error('wildcard must be first label');
  checkHost(stars === 1 ? name.slice(2) : name);
}

/** Throws where a wildcard covers another name of the list. */
export function checkWildcardOverlap(names: readonly string[]): void {
  const listed = new Set(names);
  for (const name of listed) {
    if (name.startsWith('*')) continue;
    const [, ...parent] = name.split('.');
    if (listed.has(['*', ...parent].join('.'))) {
      throw new Error(`name "${name}" overlaps with an existing wildcard name in the list: wildcard overlap`);
    }
  }
}

function checkHost(host: string): void {
  if (host.trim() === '') throw new Error('empty or only whitespace');
  if (host.endsWith('.')) throw new Error('domain ends with dot');
  if (host.length > longestName) throw new Error(`idna error: name is longer than ${longestName} characters`);
  for (const label of host.split('.')) checkLabel(label);
}

function checkLabel(label: string): void {
  if (label === '') throw new Error('idna error: empty label');
  if (label.length > longestLabel)
    throw new Error(`idna error: label is longer than ${longestLabel} characters: "${label}"`);
  if (!/^[a-z0-9-]+$/.test(label)) throw new Error(`idna error: disallowed character in label "${label}"`);
  if (label.startsWith('-') || label.endsWith('-')) throw new Error(`idna error: invalid label "${label}"`);
  if (label.slice(2, 4) !== '--') return;
  if (!label.startsWith('xn--') || !isPunycode(label)) throw new Error(`idna error: invalid label "${label}"`);
}

/** Two spellings of one name would be two identities: only the canonical one passes. */
function isPunycode(label: string): boolean {
  const unicode = domainToUnicode(label);
  return unicode !== '' && unicode !== label && domainToASCII(unicode) === label;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) > 0x7f) return false;
  }
  return true;
}
