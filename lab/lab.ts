// The lab, put together: state, addresses, machines, both clouds behind one listener, and the file that tells others where all that is.
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { controlAddress, defaultControlPort, homeNetwork, networksFrom } from './addresses.ts';
import { ensureRegionSigners, regionCertificates } from './aws/instance-identity.ts';
import { resumeInstances as resumeEc2 } from './aws/ec2-lifecycle.ts';
import { account, imageId } from './aws/state.ts';
import type { LabContext } from './context.ts';
import { answerControl } from './control.ts';
import { resumeInstances as resumeGce } from './gcp/compute-lifecycle.ts';
import { ownerToken } from './gcp/principals.ts';
import { ensureSigner } from './gcp/signer.ts';
import { project, zone } from './gcp/state.ts';
import { listen, text } from './http.ts';
import type { Handler, Listener } from './http.ts';
import { createFleet } from './instance/fleet.ts';
import { createMachines } from './instance/machines.ts';
import type { Machines } from './instance/machines.ts';
import { networkHolder } from './instance/network.ts';
import { identify, isAlive } from './instance/processes.ts';
import type { ProcessIdentity } from './instance/processes.ts';
import { chooseIsolation, isolate } from './isolation.ts';
import { createSeals } from './seals.ts';
import { openState } from './state.ts';
import type { Isolation } from './state.ts';

export interface LabSettings {
  readonly stateDirectory: string;
  /** 0: the lab's usual port. */
  readonly port: number;
  /** Second byte of the first network to try, when no instance has an address yet; else the state directory decides. */
  readonly network?: number;
  /** Absent: as its instances are, else `none`. */
  readonly isolation?: Isolation;
  /** Ports of loopback that instances in namespaces reach at the lab's address. */
  readonly reach?: readonly number[];
  readonly clock: () => number;
  readonly log: (line: string) => void;
  /** Other machines than processes on this one: for who plays thousands of nodes. The state is then written seldom, as nothing outlives the lab. */
  readonly machines?: Machines;
}

export interface Lab {
  readonly description: LabDescription;
  /** Stops every instance's processes; the state stays and the instances boot again with the next lab. */
  close(): Promise<void>;
}

export type LabDescription = ReturnType<typeof describe>;

export async function startLab(settings: LabSettings): Promise<Lab> {
  const { clock, log } = settings;
  const stateDirectory = resolve(settings.stateDirectory);
  takeLock(stateDirectory);
  rmSync(join(stateDirectory, 'lab.json'), { force: true });
  const { state, save: write } = openState(stateDirectory, settings.machines === undefined ? 'at once' : 'seldom');
  const isolation = chooseIsolation(state, settings.isolation);
  ensureSigner(state.gcp, clock());
  await ensureRegionSigners(state.aws, clock());
  const imageDirectory = join(stateDirectory, 'image');
  const starting: { context?: LabContext } = {};
  const answer: Handler = (request) =>
    starting.context === undefined ? text(503, 'starting\n') : answerControl(starting.context, request);
  const settled = state.aws.instances.length + state.gcp.instances.length > 0 ? state.network : undefined;
  const { listener, network } = await listenOnFreeNetwork(
    {
      settled,
      first: settings.network ?? homeNetwork(stateDirectory),
      port: settings.port,
      holder: (number) => (isolation === 'none' ? undefined : networkHolder(number, stateDirectory)),
    },
    answer,
    log,
  );
  state.network = network;
  state.isolation = isolation;
  const { port } = listener;
  const reach = settings.reach ?? [];
  const isolated = await isolate(isolation, { state, stateDirectory, network, port, reach, answer, log });
  const runDirectory = createRunDirectory(stateDirectory);
  const machines =
    settings.machines ??
    createMachines({ stateDirectory, runDirectory, imageDirectory, network: isolated.network, log });
  const fleet = createFleet(machines, isolated.door);
  const endpoint = `http://${controlAddress(network)}:${port}`;
  const save = () => {
    write();
    isolated.follow();
  };
  const seals = createSeals(Buffer.from(state.sealKey, 'base64'));
  const context: LabContext = { state, save, fleet, seals, endpoint, isolation, clock, log };
  starting.context = context;
  save();
  resumeEc2(context);
  resumeGce(context);
  const description = describe(context, imageDirectory);
  writeDescription(join(stateDirectory, 'lab.json'), description);
  return {
    description,
    async close() {
      rmSync(join(stateDirectory, 'lab.json'), { force: true });
      await listener.close();
      await isolated.close();
      await fleet.close();
      rmSync(join(stateDirectory, 'lab.pid'), { force: true });
    },
  };
}

/** `lab.json`: everything that a client of the lab needs, and therefore for its user's eyes only. */
function describe(context: LabContext, image: string) {
  const { aws } = context.state;
  return {
    pid: process.pid,
    endpoint: context.endpoint,
    isolation: context.isolation,
    aws: {
      account,
      credentials: aws.administrator,
      regionCertificates: regionCertificates(aws),
      imageId,
    },
    gcp: {
      project,
      zone,
      accessToken: ownerToken(context),
      certificatesUrl: `${context.endpoint}/oauth2/v1/certs`,
      secretManagerEndpoint: context.endpoint,
    },
    image,
  };
}

/** Two labs on one state would end each other's machines. */
function takeLock(stateDirectory: string): void {
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  const file = join(stateDirectory, 'lab.pid');
  const holder = readIdentity(file);
  if (holder !== undefined && holder.pid !== process.pid && isAlive(holder)) {
    throw new Error(`a lab is running on ${stateDirectory} already, as process ${holder.pid}`);
  }
  writeFileSync(file, JSON.stringify(identify(process.pid)), { mode: 0o600 });
}

function readIdentity(file: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity;
  } catch {
    // Not there, or half written by a lab that was killed: nobody's.
    return undefined;
  }
}

function writeDescription(file: string, description: object): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(description, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** A lab with instances keeps its network, whose addresses they have; a new one takes the first that no other lab is using. */
async function listenOnFreeNetwork(
  wanted: {
    settled: number | undefined;
    first: number;
    port: number;
    holder: (network: number) => string | undefined;
  },
  answer: Handler,
  log: (line: string) => void,
) {
  const port = wanted.port === 0 ? defaultControlPort : wanted.port;
  for (const network of wanted.settled === undefined ? networksFrom(wanted.first) : [wanted.settled]) {
    const holder = wanted.holder(network);
    if (holder !== undefined) {
      if (wanted.settled !== undefined) throw new Error(`10.${network}.0.0/16, which this lab's instances are on, is used by ${holder}`); // prettier-ignore
      log(`10.${network}.0.0/16 is used by ${holder}`);
      continue;
    }
    try {
      const listener: Listener = await listen(controlAddress(network), port, answer, log);
      return { listener, network };
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
      if (wanted.settled !== undefined) throw takenFromInstances(network, port, cause);
      log(`${controlAddress(network)}:${port} is in use, probably by another lab`);
    }
  }
  throw new Error(`port ${port} is in use or the addresses are used on every network that a lab may have`);
}

function takenFromInstances(network: number, port: number, cause: unknown): Error {
  return new Error(
    `${controlAddress(network)}:${port} is in use, probably by another lab, and this lab's instances have addresses of 127.${network}.0.0/16: ` +
      'stop the other lab, or tear this one down and start it on a new state directory',
    { cause },
  );
}

/** A short directory that is ours alone, for sockets. */
function createRunDirectory(stateDirectory: string): string {
  const path = `/tmp/esp-${createHash('sha256').update(stateDirectory).digest('hex').slice(0, 8)}`;
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const status = lstatSync(path);
  if (!status.isDirectory() || status.uid !== process.getuid?.())
    throw new Error(`${path} is not a directory of this user`);
  chmodSync(path, 0o700);
  return path;
}
