// Pages of lists: no size means everything, and no size is taken on trust (SPIRE 1.9.3: a page of 2³¹−1 made the server allocate it).
import type { PageRequest } from '../store/records.ts';

const largestPage = 1000;

export function pageOf(size: number, token: string): PageRequest | undefined {
  if (size <= 0) return undefined;
  return { size: Math.min(size, largestPage), token };
}
