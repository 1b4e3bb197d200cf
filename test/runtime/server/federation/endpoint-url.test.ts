import { expect, test } from 'vitest';
import { parseEndpointUrl } from '../../../../runtime/server/federation/endpoint-url.ts';

test.each([
  ['https://td.test', { host: 'td.test', port: 443, path: '/' }],
  ['HTTPS://TD.test:8443/bundle?a=b#c', { host: 'TD.test', port: 8443, path: '/bundle?a=b' }],
  ['https://td.test?a=b', { host: 'td.test', port: 443, path: '/?a=b' }],
  ['https://10.0.0.1:1/', { host: '10.0.0.1', port: 1, path: '/' }],
  ['https://[::1]:8443/b', { host: '::1', port: 8443, path: '/b' }],
  ['https://xn--bcher-kva.example/a@b', { host: 'xn--bcher-kva.example', port: 443, path: '/a@b' }],
])('%s is taken apart', (text, parts) => {
  expect(parseEndpointUrl(text)).toEqual({ text: text.replace(/^HTTPS/, 'https'), ...parts });
});

const scheme = 'bundle endpoint URL must use the https scheme';
const noHost = 'bundle endpoint URL must specify the host';
const userInfo = 'bundle endpoint URL must not contain user info';
const malformed = (reason: string) => `failed to parse bundle endpoint URL: ${reason}`;
const characters = malformed('it has characters that are not printable ASCII');
const badHost = (host: string) => malformed(`its host "${host}" is neither a name nor an address`);

test.each([
  ['', scheme],
  ['td.test/bundle', scheme],
  ['http://td.test', scheme],
  ['httpss://td.test', scheme],
  ['https:', noHost],
  ['https://', noHost],
  ['https:td.test', noHost],
  ['https:/td.test', noHost],
  ['https:///td.test', noHost],
  ['https://:8443/', noHost],
  ['https://user@', noHost],
  ['https://user@td.test/', userInfo],
  ['https://user:secret@td.test/', userInfo],
  ['https://@td.test/', userInfo],
  ['https://td.test\0.evil.test/', characters],
  ['https://td.test/\n', characters],
  ['https://td. test/', characters],
  ['https://tд.test/', characters],
  ['https://td。test/', characters],
  ['https://td%2etest/', badHost('td%2etest')],
  ['https://td.test\\@evil.test/', userInfo],
  ['https://td..test/', badHost('td..test')],
  ['https://td.test./', badHost('td.test.')],
  ['https://-td.test/', badHost('-td.test')],
  ['https://127.1/', badHost('127.1')],
  ['https://2130706433/', badHost('2130706433')],
  ['https://0x7f.1/', badHost('0x7f.1')],
  ['https://1.2.3.0x4/', badHost('1.2.3.0x4')],
  ['https://[::1/', malformed('its host "[::1" does not parse')],
  ['https://::1/', noHost],
  ['https://a::1/', malformed('its port ":1" is none')],
  ['https://[1.2.3.4]/', badHost('1.2.3.4')],
  ['https://[::1%25eth0]/', badHost('::1%25eth0')],
  ['https://td.test:/', malformed('its port "" is none')],
  ['https://td.test:0/', malformed('its port "0" is none')],
  ['https://td.test:65536/', malformed('its port "65536" is none')],
  ['https://td.test:https/', malformed('its port "https" is none')],
  [`https://td.test/${'a'.repeat(2048)}`, malformed('it is longer than 2048 characters')],
])('%j is refused', (text, message) => {
  expect(() => parseEndpointUrl(text)).toThrow(new Error(message));
});
