// Everything that the trust domain of trust-domain.yaml has when it stands, written out: neither less nor more, and each once.
import { createHash } from 'node:crypto';

const trustDomain = 'endurance.test';
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8);
/** Clouds' names are shorter than trust domains may be. */
const stem = digestOf(trustDomain);

export const clouds: readonly string[] = [
  'aws instance aws-node-0',
  'aws instance aws-server-0',
  `aws instance profile espalier-${stem}-node-aws`,
  `aws instance profile espalier-${stem}-server-aws`,
  `aws role espalier-${stem}-attestor`,
  `aws role espalier-${stem}-node-aws`,
  `aws role espalier-${stem}-server-aws`,
  `aws secret espalier-${stem}-aws-database`,
  `aws security group espalier-${stem}-instances`,
  `gcp firewall espalier-${stem}-instances`,
  `gcp instance espalier-${stem}-gcp-node-0`,
  `gcp instance espalier-${stem}-gcp-server-0`,
  `gcp instance espalier-${stem}-upstream-0`,
  `gcp secret espalier-${stem}-gcp-database`,
  `gcp secret espalier-${stem}-upstream-database`,
  `gcp service account node-gcp of ${trustDomain}`,
  `gcp service account server-gcp of ${trustDomain}`,
  `gcp service account upstream of ${trustDomain}`,
];

const database = (pool: string): string => `espalier_${stem}_${pool}`;

export const databases: readonly string[] = ['aws', 'gcp', 'upstream'].flatMap((pool) => [
  `database ${database(pool)}`,
  `role ${database(pool)}`,
]);

/** What each server keeps: agents by how they attested, entries by what their parent is. */
export const records: Readonly<Record<string, readonly string[]>> = {
  [database('upstream')]: [
    'agent aws_iid',
    'agent gcp_iit',
    'agent x509pop',
    'authorities of 1 trust domain',
    'entry by aws_iid',
    'entry by gcp_iit',
    'entry by x509pop',
  ],
  [database('gcp')]: ['agent gcp_iit', 'authorities of 1 trust domain', 'entry by node', 'entry by server'],
  [database('aws')]: ['agent aws_iid', 'authorities of 1 trust domain', 'entry by node', 'entry by server'],
};

/** The processes that `up` starts, by a part of their command line. */
export const ownProcesses: readonly string[] = [
  '/bin/postgres -D',
  '/lab/main.ts',
  '/runtime/agent/cli/main.ts run',
  '/workers/worker.ts --queue aws',
  '/workers/worker.ts --queue control',
  '/workers/worker.ts --queue gcp',
  'server start-dev',
];

/** What runs on the five machines together: the lab's supervisor of each, and its units' programs. */
export const machinePrograms: Readonly<Record<string, number>> = {
  '/lab/instance/supervisor.ts': 5,
  '/opt/espalier/bin/spire-server': 3,
  '/opt/espalier/bin/spire-agent': 4,
  '/opt/demo/workload-a': 1,
  '/opt/demo/workload-b': 1,
};

/** A server's pool of connections, and the one that listens for changes. */
export const mostSessions = 21;
