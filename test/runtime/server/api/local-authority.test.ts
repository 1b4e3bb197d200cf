import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LocalAuthorityService } from '../../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { connect, createClient } from '../../../../runtime/rpc/client.ts';
import type { Client } from '../../../../runtime/rpc/service.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { runServer } from '../../../support/run-server.ts';
import type { RunningTestServer } from '../../../support/run-server.ts';
import { runCaptured } from '../cli/stub-server.ts';

let server: RunningTestServer;
let authorities: Client<typeof LocalAuthorityService>;
let channel: ReturnType<typeof connect>;
beforeAll(async () => {
  server = await runServer();
  channel = connect({ unixPath: server.socketPath });
  authorities = createClient(LocalAuthorityService, channel);
});
afterAll(async () => {
  channel.close();
  await server.close();
});

const roots = async () => (await server.local.bundle.getBundle({ outputMask: undefined })).x509Authorities;
const run = (...argv: string[]) => runCaptured(['localauthority', ...argv, '-socketPath', server.socketPath]);

describe('an X.509 authority', () => {
  test('is prepared, activated, and its predecessor tainted and revoked, each step once and in order', async () => {
    const first = (await authorities.getX509AuthorityState({})).active!;
    expect(await authorities.getX509AuthorityState({})).toEqual({ active: first, prepared: undefined, old: undefined });

    const { preparedAuthority } = await authorities.prepareX509Authority({});
    const second = preparedAuthority!;
    expect(await roots()).toHaveLength(2);
    for (const refused of [authorities.taintX509Authority({ authorityId: second.authorityId })]) {
      await expect(refused).rejects.toMatchObject({
        code: statusCode.INVALID_ARGUMENT,
        message: 'only Old local authorities can be tainted: unsupported local authority status: PREPARED',
      });
    }
    await expect(authorities.revokeX509Authority({ authorityId: second.authorityId })).rejects.toMatchObject({
      message: 'invalid authority ID: only Old local authority can be revoked',
    });

    expect(await authorities.activateX509Authority({ authorityId: second.authorityId })).toEqual({
      activatedAuthority: second,
    });
    expect(await authorities.getX509AuthorityState({})).toEqual({ active: second, prepared: undefined, old: first });
    await expect(authorities.activateX509Authority({ authorityId: first.authorityId })).rejects.toMatchObject({
      code: statusCode.INTERNAL,
      message: 'only Prepared authorities can be activated: unsupported local authority status: OLD',
    });
    await expect(authorities.taintX509Authority({ authorityId: second.authorityId })).rejects.toMatchObject({
      message: 'unable to taint current local authority',
    });
    await expect(authorities.revokeX509Authority({ authorityId: second.authorityId })).rejects.toMatchObject({
      message: 'invalid authority ID: unable to use current authority',
    });
    await expect(authorities.revokeX509Authority({ authorityId: first.authorityId })).rejects.toMatchObject({
      code: statusCode.INTERNAL,
      message: 'failed to revoke X.509 authority: it is not possible to revoke an untainted root CA',
    });

    expect(await authorities.taintX509Authority({ authorityId: first.authorityId })).toEqual({
      taintedAuthority: first,
    });
    expect((await roots()).map(({ tainted }) => tainted).sort()).toEqual([false, true]);
    await expect(authorities.taintX509Authority({ authorityId: first.authorityId })).rejects.toMatchObject({
      code: statusCode.INTERNAL,
      message: 'failed to taint X.509 authority: root CA is already tainted',
    });
    expect(await authorities.revokeX509Authority({ authorityId: first.authorityId })).toEqual({
      revokedAuthority: { authorityId: first.authorityId, expiresAt: 0, upstreamAuthoritySubjectKeyId: '' },
    });
    expect(await roots()).toHaveLength(1);
  });

  test.each([
    ['activateX509Authority', '', 'no authority ID provided'],
    ['activateX509Authority', 'x', 'unexpected authority ID'],
    ['taintX509Authority', '', 'no authority ID provided'],
    ['taintX509Authority', 'x', 'unexpected authority ID'],
    ['revokeX509Authority', '', 'invalid authority ID: no authority ID provided'],
    ['revokeX509Authority', 'x', 'invalid authority ID: only Old local authority can be revoked'],
    ['activateJwtAuthority', '', 'no authority ID provided'],
    ['taintJwtAuthority', 'x', 'unexpected authority ID'],
    ['revokeJwtAuthority', 'x', 'invalid authority ID: no JWT authority found with provided authority ID'],
  ] as const)('%s of %j is refused', async (method, authorityId, message) => {
    await expect(authorities[method]({ authorityId })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message,
    });
  });
});

test.each(['taintX509UpstreamAuthority', 'revokeX509UpstreamAuthority'] as const)(
  '%s is refused where there is no upstream authority',
  async (method) => {
    await expect(authorities[method]({ subjectKeyId: 'x' })).rejects.toMatchObject({
      code: statusCode.FAILED_PRECONDITION,
      message: 'upstream authority is not configured',
    });
  },
);

test.each([
  'getWitAuthorityState',
  'prepareWitAuthority',
  'activateWitAuthority',
  'taintWitAuthority',
  'revokeWitAuthority',
] as const)('%s is not implemented, as in SPIRE', async (method) => {
  await expect(authorities[method]({ authorityId: 'x' })).rejects.toMatchObject({
    code: statusCode.UNIMPLEMENTED,
    message: 'WIT-SVID functionality is not yet implemented',
  });
});

describe('the commands', () => {
  test('show, prepare and activate a JWT authority', async () => {
    const active = (await authorities.getJwtAuthorityState({})).active!;
    const shown = await run('jwt', 'show');
    expect(shown.out).toMatch(
      new RegExp(
        `^Active JWT authority:\n {2}Authority ID: ${active.authorityId}\n {2}Expires at: \\d{4}-\\d{2}-\\d{2} \\d{2}:\\d{2}:\\d{2} \\+0000 UTC\n\n` +
          'Prepared JWT authority:\n {2}No prepared JWT authority found\n\nOld JWT authority:\n {2}No old JWT authority found\n$',
      ),
    );
    const prepared = JSON.parse((await run('jwt', 'prepare', '-output', 'json')).out) as {
      prepared_authority: { authority_id: string };
    };
    const id = prepared.prepared_authority.authority_id;
    expect((await run('jwt', 'activate', '-authorityID', id)).out).toMatch(
      new RegExp(`^Activated JWT authority:\n {2}Authority ID: ${id}\n {2}Expires at: .*\n$`),
    );
    expect((await run('jwt', 'taint', '-authorityID', active.authorityId)).out).toMatch(/^Tainted JWT authority:\n/);
    expect((await run('jwt', 'revoke', '-authorityID', active.authorityId)).out).toMatch(/^Revoked JWT authority:\n/);
  });

  test('show an X.509 authority without an upstream, as text and as JSON', async () => {
    const { out } = await run('x509', 'show');
    expect(out).toContain('  Upstream authority ID: No upstream authority\n');
    const json = JSON.parse((await run('x509', 'show', '-output', 'json')).out) as object;
    expect(json).toEqual({ active: expect.objectContaining({ upstream_authority_subject_key_id: '' }) as object });
  });

  test('tell refusals', async () => {
    expect(await run('x509', 'taint')).toEqual({ code: 1, out: '', err: 'Error: an authority ID is required\n' });
    expect((await run('x509', 'activate', '-authorityID', 'x')).err).toBe(
      'Error: could not activate X.509 authority: rpc error: code = InvalidArgument desc = unexpected authority ID\n',
    );
  });
});
