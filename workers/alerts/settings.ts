// What `espalier alerts` is told on its command line, with the files behind it: a secret is in a file that nobody else can read, never on the line itself.
import { readFileSync, statSync } from 'node:fs';
import { loadSpec } from '../up/load-spec.ts';
import type { ReceiverOptions } from './receiver.ts';

export interface AlertFlags {
  readonly listen: string;
  readonly secretFile: string | undefined;
  readonly tlsCertificate: string | undefined;
  readonly tlsKey: string | undefined;
  readonly clientCa: string | undefined;
  /** Servers that somebody else stood up, as JSON; the specification where none is named. */
  readonly topology: string | undefined;
  readonly spec: string;
}

export type AlertSettings = Pick<ReceiverOptions, 'host' | 'port' | 'secret' | 'tls' | 'trustDomain' | 'request'>;

/** Throws with the flag and its value. */
export function readAlertSettings(flags: AlertFlags): AlertSettings {
  const { tlsCertificate, tlsKey, clientCa, secretFile } = flags;
  if ((tlsCertificate === undefined) !== (tlsKey === undefined))
    throw new Error('--tls-certificate and --tls-key belong together');
  if (clientCa !== undefined && tlsCertificate === undefined) throw new Error('--client-ca needs --tls-certificate');
  return {
    ...parseListen(flags.listen),
    ...placeOf(flags),
    ...(secretFile === undefined ? {} : { secret: readSecret(secretFile) }),
    ...(tlsCertificate === undefined || tlsKey === undefined
      ? {}
      : {
          tls: {
            certificate: readFileSync(tlsCertificate, 'utf8'),
            key: readFileSync(tlsKey, 'utf8'),
            ...(clientCa === undefined ? {} : { clientCa: readFileSync(clientCa, 'utf8') }),
          },
        }),
  };
}

function placeOf({ topology, spec }: AlertFlags): Pick<AlertSettings, 'trustDomain' | 'request'> {
  if (topology === undefined) {
    const loaded = loadSpec(spec);
    return { trustDomain: loaded.trustDomain, request: { spec: loaded } };
  }
  const given = JSON.parse(readFileSync(topology, 'utf8')) as { readonly trustDomain?: unknown };
  if (typeof given.trustDomain !== 'string') throw new Error(`--topology: ${topology} names no trustDomain`);
  return { trustDomain: given.trustDomain, request: { topology: given } };
}

function parseListen(text: string): Pick<AlertSettings, 'host' | 'port'> {
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const [host, port] = [bracketed ?? plain, Number(digits)];
  if (host === undefined || port > 65_535) throw new Error(`--listen must be an address and a port: ${text}`);
  return { host, port };
}

function readSecret(file: string): string {
  const mode = statSync(file).mode & 0o077;
  if (mode !== 0) throw new Error(`--secret-file: ${file} can be read by others: its mode must be 0600`);
  return readFileSync(file, 'utf8').trim();
}
