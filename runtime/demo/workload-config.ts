// What a demonstration workload is told by its environment. All faults are reported together.
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';

export interface Listen {
  readonly host: string;
  readonly port: number;
}

export interface WorkloadConfig {
  readonly service: Listen;
  readonly control: Listen;
  /** SPIFFE IDs that the service port admits. */
  readonly peers: ReadonlySet<string>;
  /** SPIFFE IDs that the control port admits. */
  readonly operators: ReadonlySet<string>;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function parseWorkloadConfig(env: Environment): WorkloadConfig {
  const faults: string[] = [];
  const read = <T>(name: string, parse: (text: string) => T, fallback: T): T => {
    try {
      return parse(env[name] ?? '');
    } catch (error) {
      faults.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      return fallback;
    }
  };
  const nowhere: Listen = { host: '', port: 0 };
  const config: WorkloadConfig = {
    service: read('WORKLOAD_LISTEN', parseAddress, nowhere),
    control: read('WORKLOAD_CONTROL', parseAddress, nowhere),
    peers: read('WORKLOAD_PEERS', parseIds, new Set()),
    operators: read('WORKLOAD_OPERATORS', parseIds, new Set()),
  };
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return config;
}

/** `host:port`, with brackets around an IPv6 address. */
export function parseAddress(text: string): Listen {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) throw new Error(`want host:port, have ${JSON.stringify(text)}`);
  return { host, port };
}

/** Comma separated; none is allowed, and then nobody is admitted. */
function parseIds(text: string): Set<string> {
  return new Set(
    text
      .split(',')
      .map((id) => id.trim())
      .filter((id) => id !== '')
      .map((id) => parseSpiffeId(id).toString()),
  );
}
