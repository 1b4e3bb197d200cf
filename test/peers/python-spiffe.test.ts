// PyPI's spiffe as a workload of our agent, which attested to our server.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import { nodeIdOf } from './support/agent.ts';
import { preparePython } from './support/programs.ts';
import { createStage } from './support/stage.ts';
import { fetchInPython, ownUid } from './support/workloads.ts';
import type { Fetched } from './support/workloads.ts';

const id = 'spiffe://example.org/prod/onprem/demo/python';
const stage = createStage();
let fetched: Fetched;
let bundle: string;

beforeAll(async () => {
  const python = await preparePython();
  const server = await stage.server({ name: 'server' });
  await server.createEntry({ parentId: nodeIdOf('node'), spiffeId: id, selectors: [ownUid] });
  const agent = await stage.agent({ name: 'node', server });
  bundle = await server.bundlePem();
  fetched = await fetchInPython(python, agent, 'reports');
});
afterAll(() => stage.strike());

describe('a Python workload', () => {
  it('fetches its X.509-SVID', () => {
    expect(fetched.id).toBe(id);
    expect(certificatesFromPem(fetched.chain)).toHaveLength(1);
  });

  it('fetches the X.509 bundle that the server shows', () => {
    expect(certificatesFromPem(fetched.bundle)).toEqual(certificatesFromPem(bundle));
  });

  it('fetches a JWT-SVID and verifies it with the JWT bundle', () => {
    expect(fetched).toMatchObject({ jwtId: id, jwtAudience: ['reports'], jwtKeys: 1 });
  });

  it('has the agent validate the JWT-SVID for its audience, and for no other', () => {
    expect(fetched.validatedId).toBe(id);
    expect(fetched.otherAudience).toMatch(/reports-other.*INVALID_ARGUMENT/);
  });
});
