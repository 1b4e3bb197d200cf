// The URL of a bundle endpoint (SPIFFE Federation §5.2). Taken apart here, character by character, and not by `URL` alone, which repairs: it makes
// a host of the path of `https:///x`, drops tabs and turns `https://0x7f.1` into 127.0.0.1.
import { isIPv4, isIPv6 } from 'node:net';

export interface EndpointUrl {
  /** As given, the scheme in lower case. */
  readonly text: string;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly path: string;
}

const defaultPort = 443;
const longestUrl = 2048;
const longestHost = 253;

/** Throws with SPIRE's words where SPIRE refuses too. */
export function parseEndpointUrl(text: string): EndpointUrl {
  if (text.length > longestUrl) throw malformed(`it is longer than ${longestUrl} characters`);
  if (!/^[\x21-\x7e]*$/.test(text)) throw malformed('it has characters that are not printable ASCII');
  const [, scheme = '', rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/.exec(text) ?? [];
  if (scheme.toLowerCase() !== 'https') throw new Error('bundle endpoint URL must use the https scheme');
  const [, authority = '', tail = ''] = /^\/\/([^/?#]*)(.*)$/.exec(rest) ?? [];
  const [userInfo, hostAndPort] = splitAt(authority, authority.lastIndexOf('@'));
  if (hostAndPort === '') throw new Error('bundle endpoint URL must specify the host');
  if (userInfo !== undefined) throw new Error('bundle endpoint URL must not contain user info');
  const { host, port } = parseHost(hostAndPort);
  return { text: `https:${rest}`, host, port, path: pathOf(tail) };
}

/** Before and after the place; all of it is after where there is none. */
function splitAt(text: string, at: number): [before: string | undefined, after: string] {
  return at === -1 ? [undefined, text] : [text.slice(0, at), text.slice(at + 1)];
}

function parseHost(text: string): { host: string; port: number } {
  const [, bracketed, named, portText] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text) ?? [];
  const host = bracketed ?? named;
  if (host === undefined) throw malformed(`its host ${JSON.stringify(text)} does not parse`);
  if (host === '') throw new Error('bundle endpoint URL must specify the host');
  if (bracketed === undefined ? !isHostName(host) : !isIPv6(host) || host.includes('%'))
    throw malformed(`its host ${JSON.stringify(host)} is neither a name nor an address`);
  return { host, port: portText === undefined ? defaultPort : parsePort(portText) };
}

function isHostName(host: string): boolean {
  if (isIPv4(host)) return true;
  const labels = host.split('.');
  const isName = labels.every((label) => /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label));
  // A last label of digits is an address to some resolvers: 127.1, 2130706433, 0x7f.1.
  const looksLikeAddress = /^(?:\d+|0[xX][0-9A-Fa-f]*)$/.test(labels.at(-1) ?? '');
  return isName && !looksLikeAddress && host.length <= longestHost;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw malformed(`its port ${JSON.stringify(text)} is none`);
  return port;
}

/** What is asked for: a fragment never leaves the client. */
function pathOf(tail: string): string {
  const [asked = ''] = tail.split('#');
  return asked.startsWith('/') ? asked : `/${asked}`;
}

function malformed(reason: string): Error {
  return new Error(`failed to parse bundle endpoint URL: ${reason}`);
}
