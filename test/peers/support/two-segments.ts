// What must hold between workloads of two segments under one root, wherever they run: openssl judges their chains, and on go-spiffe they speak mTLS.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatesFromPem, certificatesToPem } from '../../../runtime/pki/pem.ts';
import { call, serve } from './go-mtls.ts';
import type { Called, GoServer } from './go-mtls.ts';
import { opensslVerify } from './openssl.ts';
import { output, run } from './processes.ts';
import { fetchInGo } from './workloads.ts';
import type { Fetched, WorkloadEnvironment } from './workloads.ts';

/** A copy of the Go workload, at the path that its entry names. */
export interface GoWorkload {
  readonly id: string;
  readonly program: string;
  readonly agent: WorkloadEnvironment;
}

export interface TwoSegments {
  readonly directory: string;
  /** The root's bundle, PEM. */
  readonly bundle: string;
  readonly a: GoWorkload;
  readonly b: GoWorkload;
  /** In a's segment; nobody admits it. */
  readonly stranger: GoWorkload;
}

/** Defines the tests; `segments` is asked when they run. */
export function describeTwoSegments(segments: () => TwoSegments): void {
  describe('two chains under one root', () => {
    let ofA: Fetched;
    let ofB: Fetched;

    beforeAll(async () => {
      const { a, b } = segments();
      ofA = await fetchInGo(a.program, a.agent, 'reports');
      ofB = await fetchInGo(b.program, b.agent, 'reports');
    });

    it('are given to the workloads that the entries name', () => {
      const ids = [segments().a.id, segments().b.id];
      expect([ofA.id, ofB.id]).toEqual(ids);
      expect([ofA.verifiedId, ofB.verifiedId]).toEqual(ids);
    });

    it('have one root and two different intermediates', () => {
      const anchors = certificatesFromPem(segments().bundle);
      expect(anchors).toHaveLength(1);
      expect(certificatesFromPem(ofA.bundle)).toEqual(anchors);
      expect(certificatesFromPem(ofB.bundle)).toEqual(anchors);
      const [intermediates, others] = [ofA, ofB].map(({ chain }) => certificatesFromPem(chain).slice(1));
      expect([intermediates!.length, others!.length]).toEqual([1, 1]);
      expect(intermediates).not.toEqual(others);
    });

    it('are accepted by openssl verify', async () => {
      const { directory, bundle } = segments();
      expect(await opensslVerify(directory, { bundle, chain: ofA.chain })).toBe('OK');
      expect(await opensslVerify(directory, { bundle, chain: ofB.chain })).toBe('OK');
    });

    it('are refused by openssl verify where the intermediates are exchanged', async () => {
      const { directory, bundle } = segments();
      const chain = certificatesToPem([certificatesFromPem(ofA.chain)[0]!, certificatesFromPem(ofB.chain)[1]!]);
      expect(await opensslVerify(directory, { bundle, chain })).toContain('unable to get local issuer certificate');
    });

    it('let a JWT-SVID of one segment be verified in the other', async () => {
      const { a, b } = segments();
      const token = await output(a.program, ['token', 'reports'], { env: a.agent.env });
      const env = { ...b.agent.env, JWT_SVID: token.trim() };
      expect(await output(b.program, ['validate', 'reports'], { env })).toBe(`${a.id}\n`);
    });
  });

  describe('mTLS between the segments', () => {
    let server: GoServer | undefined;
    let answer: Called;

    beforeAll(async () => {
      const { a, b } = segments();
      server = await serve(b.program, b.agent, a.id);
      answer = await call(a.program, a.agent, server.address, b.id);
    });
    afterAll(() => server?.stop());

    it('is seen alike by both sides', () => {
      const { a, b } = segments();
      expect(answer).toMatchObject({ self: a.id, peer: b.id, seenAs: a.id });
    });

    it('is refused by the server to a third identity', async () => {
      const { b, stranger } = segments();
      const refused = await run(stranger.program, ['call', server!.address, b.id], { env: stranger.agent.env });
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      await expect.poll(() => server!.refusals()).toContain(`unexpected ID "${stranger.id}"`);
    });

    it('is refused by the client to a server of another identity', async () => {
      const { a, b, stranger } = segments();
      const refused = await run(a.program, ['call', server!.address, stranger.id], { env: a.agent.env });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(`unexpected ID "${b.id}"`);
    });
  });
}
