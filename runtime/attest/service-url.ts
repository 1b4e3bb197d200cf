// The address of a service whose answers decide about trust: HTTPS, or plain HTTP on this machine only.
import * as z from 'zod';

export const serviceUrl = z
  .url({ protocol: /^https?$/ })
  .refine(isSafe, 'must be https, or http on a loopback address');

function isSafe(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  return (
    protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}
