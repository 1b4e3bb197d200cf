// What a machine may ask of its own cloud: its address, and the secrets that its own role may read.
import { createAwsNode } from './aws-node.ts';
import { createGcpNode } from './gcp-node.ts';

export interface CloudNode {
  /** The private IPv4 address of its first network interface. */
  address(): Promise<string>;
  secret(name: string): Promise<string>;
}

export interface CloudNodeDeps {
  readonly fetch: typeof globalThis.fetch;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const clouds = ['aws', 'gcp'] as const;
export type Cloud = (typeof clouds)[number];

export function createCloudNode(cloud: Cloud, deps: CloudNodeDeps): CloudNode {
  return cloud === 'aws' ? createAwsNode(deps) : createGcpNode(deps);
}
