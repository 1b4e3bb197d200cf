// Cuts a network into equal parts, one for each zone. IPv4 only, as the clouds' private networks are.
const newBits = 4;

export function subnetOf(cidr: string, index: number): string {
  const [address = '', length = ''] = cidr.split('/');
  const prefix = Number(length) + newBits;
  if (prefix > 28) throw new Error(`network is too small for subnets: ${cidr}`);
  const base = address.split('.').reduce((value, part) => value * 256 + Number(part), 0);
  const masked = base - (base % 2 ** (32 - Number(length)));
  const start = masked + index * 2 ** (32 - prefix);
  return `${[24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256).join('.')}/${prefix}`;
}
