// What the specifications of tests have in common, in every cloud.
import type { Json } from '../../crossplane/functions/composed.ts';

export interface Case {
  readonly name: string;
  readonly kind: string;
  readonly spec: Readonly<Record<string, unknown>>;
  /** What providers report of the parts, by their names in the composition. */
  readonly observed?: Readonly<Record<string, Json>>;
}

export const reports = (atProvider: Json): Json => ({ status: { atProvider } });

export const networkRef = { name: 'network' };
export const passwordSecretRef = { name: 'datastore-password', key: 'password' };
export const everybody = {
  cidr: '10.2.0.0/16',
  peerCidrs: ['10.1.0.0/16', '10.3.0.0/16'],
  monitoringCidrs: ['10.10.0.0/24'],
  federationCidrs: ['203.0.113.0/24'],
  workloadCidrs: ['10.1.0.0/16', '10.2.0.0/16'],
  overlayCidrs: ['10.10.1.0/24'],
};
export const bootScript = '#!/bin/sh\necho hello\n';
export const secrets = ['espalier-1-aws-database', 'espalier-1-upstream-authority-key'];
