// The answer of a local API (a kubelet's, an engine's), whole and bounded: what answers there may be broken, or another program.
import type { IncomingMessage } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Fails on an answer that is longer than `maxBytes`, and where the connection is lost. */
export function readAnswer(response: IncomingMessage, maxBytes: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) response.destroy(new Error(`answer is larger than ${maxBytes} bytes`));
    });
    response.on('error', reject);
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
    );
  });
}
