// In which order HTTP/2 begins on connections of several peers.
import { once } from 'node:events';
import { Socket, connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createOpeningTurns } from '../../../runtime/rpc/opening-turns.ts';
import { hasHungUp } from '../../../runtime/rpc/peer-credentials.ts';
import { listenOnUnixSocket } from '../../../runtime/rpc/unix-listener.ts';
import { socketPath } from './echo-service.ts';

const of = (pid: number) => ({ transport: 'unix', pid, uid: 0, gid: 0 }) as const;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('of each peer one begins in a turn, and one that has gone does not', async () => {
  const openInTurn = createOpeningTurns();
  const opened: string[] = [];
  const arrive = (pid: number, name: string): Socket => {
    const socket = new Socket();
    openInTurn(socket, of(pid), () => opened.push(name));
    return socket;
  };
  arrive(1, 'a1');
  const gone = arrive(1, 'a2');
  arrive(1, 'a3');
  arrive(2, 'b1');
  gone.destroy();
  await turn();
  expect(opened).toEqual(['a1', 'b1']);
  arrive(3, 'c1');
  await turn();
  expect(opened).toEqual(['a1', 'b1', 'c1']);
  await turn();
  expect(opened).toEqual(['a1', 'b1', 'c1', 'a3']);
});

test('hosts are told apart by their addresses and not by their ports', async () => {
  const openInTurn = createOpeningTurns();
  const opened: string[] = [];
  for (const address of ['10.0.0.1:4000', '10.0.0.1:4001', '10.0.0.2:4000'])
    openInTurn(new Socket(), { transport: 'tcp', address, peerChain: [] }, () => opened.push(address));
  await turn();
  expect(opened).toEqual(['10.0.0.1:4000', '10.0.0.2:4000']);
});

test('a peer that has closed is seen to have hung up, although what it said was never read', async () => {
  const path = await socketPath();
  const accepted: Socket[] = [];
  const server = await listenOnUnixSocket({ path, mode: 0o700, log: undefined, accept: (one) => accepted.push(one) });
  onTestFinished(() => void server.close());
  const peer = connect(path);
  await once(peer, 'connect');
  await expect.poll(() => accepted.length).toBe(1);
  onTestFinished(() => void accepted[0]!.destroy());
  peer.write('said');
  await turn();
  expect(hasHungUp(accepted[0]!)).toBe(false);
  peer.destroy();
  await expect.poll(() => hasHungUp(accepted[0]!)).toBe(true);
});
