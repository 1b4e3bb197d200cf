// What is known of an agent's way to its server's trust: the numbers that SPIRE's agent shows, and what is kept of them over a restart.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createBootstrapping } from '../../../../runtime/agent/node/bootstrapping.ts';
import { createTrust } from '../../../../runtime/agent/node/trust.ts';
import { openAgentData } from '../../../../runtime/agent/state/agent-data.ts';
import { createLog } from '../../../../runtime/log.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { serverId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { createRegistry } from '../../../../runtime/telemetry/registry.ts';
import { expose } from '../../../../runtime/telemetry/exposition.ts';
import { createFakeAuthority } from '../../../support/fake-authority.ts';
import { parseScrape } from '../../../support/metrics.ts';

const trustDomain = parseTrustDomain('example.org');
const [ours, theirs] = [createFakeAuthority(trustDomain), createFakeAuthority(trustDomain)];
const log = createLog({ level: 'error', format: 'text', write: () => undefined });
let directory: string;
let now: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bootstrapping-'));
  now = Date.now();
});
afterEach(() => rmSync(directory, { recursive: true }));

async function open() {
  const registry = createRegistry({ prefix: 'spire_agent', now: () => 0 });
  const clock = () => now;
  const data = await openAgentData(directory, log);
  const onInsecure = () => undefined;
  const trust = createTrust({
    trustDomain,
    x509Authorities: data.x509Authorities(),
    insecureBootstrap: false,
    clock,
    onInsecure,
  });
  const loadBundle = () => Promise.resolve(ours.roots());
  const bootstrapping = createBootstrapping({
    data,
    trust,
    mode: 'auto',
    delayMs: 60_000,
    loadBundle,
    clock,
    log,
    metrics: registry,
  });
  return {
    data,
    bootstrapping,
    shown: () => Object.fromEntries(parseScrape(expose(registry)).values),
    /** A server of that authority is met; what the agent then does follows. */
    async meet(authority: typeof ours): Promise<void> {
      const { publicKey } = generateKeyPairSync('ec-p256');
      const { certChain } = authority.issue({ publicKey, spiffeId: serverId(trustDomain), ttl: 3_600_000 });
      try {
        trust.verifyServer(certChain);
        await data.storeX509Authorities(ours.roots());
        await bootstrapping.succeeded();
      } catch {
        await bootstrapping.failed();
      }
    },
  };
}

const numbers = (bootstrapped: number, mode: string, attempts: number, seconds: number) => ({
  spire_agent_bootstrapped: bootstrapped,
  [`spire_agent_bootstrap_attempts{mode="${mode}"}`]: attempts,
  [`spire_agent_bootstrap_seconds{mode="${mode}"}`]: seconds,
});

it('counts the attempts of a first contact, and none when it has come about', async () => {
  const agent = await open();
  const began = Math.floor(now / 1000);
  await agent.bootstrapping.prepare();
  now += 10_000;
  await agent.bootstrapping.prepare();
  expect(agent.shown()).toMatchObject(numbers(0, 'bootstrap', 2, began));
  await agent.meet(ours);
  expect(agent.shown()).toMatchObject(numbers(1, 'rebootstrap', 0, 0));
});

it('counts the time since both disagree, over a restart, and again from the next time on', async () => {
  const first = await open();
  await first.bootstrapping.prepare();
  await first.meet(ours);
  const began = Math.floor(now / 1000);
  await first.meet(theirs);
  expect(first.shown()).toMatchObject(numbers(0, 'rebootstrap', 0, began));
  now += 30_000;
  const second = await open();
  expect(second.shown()).toMatchObject(numbers(0, 'rebootstrap', 0, began));
  await second.meet(theirs);
  expect(second.data.x509Authorities()).toHaveLength(1);
  await second.meet(ours);
  expect(second.shown()).toMatchObject(numbers(1, 'rebootstrap', 0, 0));
  now += 1_800_000;
  await second.meet(theirs);
  expect(second.shown()).toMatchObject(numbers(0, 'rebootstrap', 0, Math.floor(now / 1000)));
});

it('forgets what it trusted when the delay is over, and not before', async () => {
  const agent = await open();
  await agent.bootstrapping.prepare();
  await agent.meet(ours);
  await agent.meet(theirs);
  now += 59_999;
  await agent.meet(theirs);
  expect(agent.data.x509Authorities()).toHaveLength(1);
  now += 1;
  await expect(agent.meet(theirs)).rejects.toMatchObject({ code: 'REBOOTSTRAP' });
  expect(agent.data.x509Authorities()).toHaveLength(0);
});

it('a server that is merely away is no disagreement, however long', async () => {
  const agent = await open();
  await agent.bootstrapping.prepare();
  await agent.meet(ours);
  now += 3_600_000;
  await agent.bootstrapping.failed();
  expect(agent.shown()).toMatchObject(numbers(1, 'rebootstrap', 0, 0));
  expect(agent.data.x509Authorities()).toHaveLength(1);
});
