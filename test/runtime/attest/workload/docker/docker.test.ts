// The workload attestor "docker" against a STAND-IN for the engine's API (an HTTP server of this test on a Unix socket) and a /proc of files that
// this test writes in the forms of real hosts: nothing here is a real Docker, Podman or control group.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createWorkloadAttestor } from '../../../../../runtime/agent/workload-attestors.ts';
import { parseDockerConfig } from '../../../../../runtime/attest/workload/docker/config.ts';
import { createDockerAttestor } from '../../../../../runtime/attest/workload/docker/docker.ts';
import { parseHcl } from '../../../../../runtime/hcl/parse.ts';
import { createLog } from '../../../../../runtime/log.ts';

const id = '0123456789abcdef'.repeat(4);
const otherId = 'fedcba9876543210'.repeat(4);
const pid = 123;
const digest = `sha256:${'9f'.repeat(32)}`;
const container = {
  Id: id,
  Image: digest,
  State: { Pid: pid },
  Config: { Image: 'web:1', Labels: { tier: 'front', 'com.example.a': 'b:c' }, Env: ['STAGE=prod', 'EMPTY='] },
};
const selectors = [
  'docker:label:tier:front',
  'docker:label:com.example.a:b:c',
  'docker:env:STAGE=prod',
  'docker:env:EMPTY=',
  'docker:image_id:web:1',
  `docker:image_config_digest:${digest}`,
];

let directory: string;
let asked: string[];
let answer: (path: string, times: number) => { readonly status?: number; readonly body: string } | 'silence';
const servers: Server[] = [];
const logged: Record<string, unknown>[] = [];
const log = createLog({ level: 'debug', format: 'json', write: (line) => void logged.push(JSON.parse(line) as never) });

async function serveEngine(name: string): Promise<void> {
  const server = createServer((request, response) => {
    asked.push(`${name} ${request.method} ${request.url}`);
    const said = answer(request.url ?? '', asked.length);
    if (said !== 'silence') response.writeHead(said.status ?? 200).end(said.body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(join(directory, name), resolve));
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'docker-'));
  for (const name of ['docker.sock', 'podman.sock', 'podman-1000.sock']) await serveEngine(name);
});
afterAll(() => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  asked = [];
  logged.length = 0;
  answer = () => ({ body: JSON.stringify(container) });
});
afterEach(() => rmSync(join(directory, 'proc'), { recursive: true, force: true }));

const hcl = (more: string) => `docker_socket_path = "unix://${directory}/docker.sock"
podman_socket_path = "unix://${directory}/podman.sock"
${more}`;

async function attest(
  cgroup: string | undefined,
  { mountinfo = '', more = '', signal = AbortSignal.timeout(60_000) } = {},
): Promise<string[]> {
  const procDirectory = join(directory, 'proc');
  mkdirSync(join(procDirectory, `${pid}`), { recursive: true });
  if (cgroup !== undefined) writeFileSync(join(procDirectory, `${pid}`, 'cgroup'), cgroup);
  writeFileSync(join(procDirectory, `${pid}`, 'mountinfo'), mountinfo);
  const attestor = createDockerAttestor({ ...parseDockerConfig(parseHcl(hcl(more))), log, procDirectory });
  const found = await attestor.attest(pid, signal);
  return found.map(({ type, value }) => `${type}:${value}`);
}

const v2 = `0::/system.slice/docker-${id}.scope\n`;
const refused = (message: string) => ({ code: 'CONTAINER', message });
const cannot = (why: string) => refused(`container ${id} cannot be inspected at ${directory}/docker.sock: ${why}`);

describe('a process in a container', () => {
  it.each([
    ['version 1', `12:memory:/docker/${id}\n11:cpu,cpuacct:/docker/${id}\n1:name=systemd:/docker/${id}\n`],
    ['version 1 beside an empty unified group', `2:memory:/docker/${id}\n0::/system.slice/containerd.service\n`],
    ['version 2 by systemd', v2],
    ['version 2 by cgroupfs', `0::/docker/${id}\n`],
    ['a group within the container', `0::/system.slice/docker-${id}.scope/init.scope\n`],
    ['CRI', `0::/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-${id}.scope\n`],
    ['an agent in a container of its own', `0::/../${id}\n`],
    ['a container within a container', `0::/docker/${otherId}/docker/${id}\n`],
  ])('is described by labels, environment and image: %s', async (_, cgroup) => {
    expect(await attest(cgroup)).toEqual(selectors);
    expect(asked).toEqual([`docker.sock GET /containers/${id}/json`]);
  });

  it('is asked for in the version that is configured', async () => {
    await attest(v2, { more: 'docker_version = "1.44"' });
    expect(asked).toEqual([`docker.sock GET /v1.44/containers/${id}/json`]);
  });

  it('is found by its mounts where the kernel hides all groups', async () => {
    const mountinfo = `1 2 0:68 / /local rw,relatime - tmpfs  rw\n3 1 0:30 /../${id} /sys/fs/cgroup ro - cgroup2 cgroup rw\n`;
    expect(await attest('0::/\n', { mountinfo })).toEqual(selectors);
  });

  it('is found by matchers', async () => {
    const more = 'use_new_container_locator = false\ncontainer_id_cgroup_matchers = ["/my.slice/*/<id>"]';
    expect(await attest('0::/my.slice/x/short-id\n', { more })).toEqual(selectors);
    expect(asked).toEqual(['docker.sock GET /containers/short-id/json']);
  });

  it('has nothing but what the engine says', async () => {
    answer = () => ({ body: '{"Config":{"Labels":null,"Env":null}}' });
    expect(await attest(v2)).toEqual([]);
  });

  it('is asked for again when the engine is busy', async () => {
    answer = (_, times) => (times === 1 ? { status: 503, body: '' } : { body: JSON.stringify(container) });
    expect(await attest(v2)).toEqual(selectors);
  });

  it('has its groups in the log where that is asked for', async () => {
    await attest(v2, { more: 'verbose_container_locator_logs = true' });
    expect(logged).toEqual([expect.objectContaining({ pid, path: `/system.slice/docker-${id}.scope` })]);
  });
});

describe('a container of Podman', () => {
  const rootless = `0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope/container\n`;

  it('is asked of Podman', async () => {
    expect(await attest(`0::/machine.slice/libpod-${id}.scope/container\n`)).toEqual(selectors);
    expect(asked).toEqual([`podman.sock GET /containers/${id}/json`]);
  });

  it("is asked of the user's own where the configuration says so", async () => {
    const more = `podman_socket_path_template = "unix://${directory}/podman-%d.sock"`;
    expect(await attest(rootless, { more })).toEqual(selectors);
    expect(asked).toEqual([`podman-1000.sock GET /containers/${id}/json`]);
  });

  it('is refused where only its user could vouch for it', async () => {
    await expect(attest(rootless)).rejects.toMatchObject(
      refused(`container ${id} is of user 1000's Podman, and podman_socket_path_template is not configured`),
    );
    expect(asked).toEqual([]);
  });
});

describe('a process in no container', () => {
  it.each([
    ['a service', '0::/system.slice/ssh.service\n'],
    ['a session', '0::/user.slice/user-1000.slice/session-1.scope\n'],
    ['an id that is too short', `0::/docker/${id.slice(1)}\n`],
    ['an id that is too long', `0::/docker/${id}0\n`],
    ['no groups', ''],
  ])('has no selectors: %s', async (_, cgroup) => {
    expect(await attest(cgroup)).toEqual([]);
    expect(asked).toEqual([]);
  });

  it("has none although it mounted another container's group", async () => {
    const mountinfo = `3 1 0:30 /system.slice/docker-${id}.scope /mnt ro - cgroup2 cgroup rw\n`;
    expect(await attest('0::/user.slice/user-1000.slice/session-1.scope\n', { mountinfo })).toEqual([]);
  });

  it('has none for a mount of the whole tree, or of another kind', async () => {
    const mountinfo = `3 1 0:30 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n4 1 0:31 /${id} /data rw - ext4 /dev/sda rw\nx\n`;
    expect(await attest('0::/\n', { mountinfo })).toEqual([]);
  });

  it('has none by matchers that do not fit', async () => {
    const more = 'use_new_container_locator = false\ncontainer_id_cgroup_matchers = ["/docker/<id>"]';
    expect(await attest(v2, { more })).toEqual([]);
  });
});

describe('there are no selectors, and a reason,', () => {
  it('where the process is gone', async () => {
    await expect(attest(undefined)).rejects.toMatchObject({
      code: 'PROCESS',
      message: `cgroup of process ${pid} is not readable`,
    });
  });

  it('where the groups name two containers', async () => {
    await expect(attest(`2:cpu:/docker/${id}\n1:memory:/docker/${otherId}\n`)).rejects.toMatchObject(
      refused(`process ${pid} has several container ids: ${id}, ${otherId}`),
    );
  });

  it('where a group is none', async () => {
    await expect(attest('nothing\n')).rejects.toMatchObject(
      refused(`process ${pid} has a cgroup that is not one: "nothing"`),
    );
  });

  it("where a user could have named the group after another's container", async () => {
    const cgroup = `0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker-${id}.scope\n`;
    await expect(attest(cgroup)).rejects.toMatchObject(
      refused(`container ${id} is below the slice of user 1000, who may have named it`),
    );
    expect(asked).toEqual([]);
  });

  it('where a matcher finds what is no id', async () => {
    const more = 'use_new_container_locator = false\ncontainer_id_cgroup_matchers = ["/docker/<id>"]';
    await expect(attest('0::/docker/..\n', { more })).rejects.toMatchObject(refused('container id is not one: ".."'));
    await expect(attest('0::/docker/\n', { more })).rejects.toMatchObject(refused('container id is not one: ""'));
  });

  it('where the engine has no such container, which is asked once', async () => {
    answer = () => ({ status: 404, body: '{"message":"No such container"}' });
    await expect(attest(v2)).rejects.toMatchObject(cannot('status 404'));
    expect(asked).toHaveLength(1);
  });

  it('where the engine stays busy', async () => {
    answer = () => ({ status: 500, body: '' });
    await expect(attest(v2)).rejects.toMatchObject(cannot('status 500'));
    expect(asked).toHaveLength(4);
  });

  it('where there is no engine', async () => {
    const more = '';
    const procDirectory = join(directory, 'proc');
    await attest(v2);
    const config = parseDockerConfig(parseHcl(`docker_socket_path = "unix://${directory}/none.sock"\n${more}`));
    const attestor = createDockerAttestor({ ...config, log, procDirectory });
    await expect(attestor.attest(pid, AbortSignal.timeout(60_000))).rejects.toMatchObject({
      code: 'CONTAINER',
      message: expect.stringContaining('none.sock: connect ENOENT') as string,
    });
  });

  it('where the engine does not answer in time', async () => {
    const limit = new AbortController();
    answer = () => {
      setImmediate(() => limit.abort());
      return 'silence';
    };
    await expect(attest(v2, { signal: limit.signal })).rejects.toMatchObject({ code: 'CONTAINER' });
    expect(asked).toHaveLength(1);
  });

  it('where the answer is too large', async () => {
    answer = () => ({ body: JSON.stringify({ ...container, filler: 'x'.repeat(5 * 1024 * 1024) }) });
    await expect(attest(v2)).rejects.toMatchObject(cannot('answer is larger than 4194304 bytes'));
  });

  it.each([
    ['SECRET=1 no JSON', ''],
    ['{"Config":{"Env":["SECRET=1",2]}}', 'Config.Env.1'],
    ['{"SECRET":1}', 'Config'],
    ['{"Config":{"Labels":{"a":["SECRET"]}}}', 'Config.Labels.a'],
  ])('where the answer is no container, without quoting it: %s', async (body, place) => {
    answer = () => ({ body });
    const error = await attest(v2).catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject(cannot(`answer is malformed at ${place}`));
    expect(JSON.stringify([error, (error as Error).cause])).not.toContain('SECRET');
  });
});

describe('its configuration', () => {
  it('is taken as SPIRE writes it', async () => {
    const text = 'docker_socket_path = "unix:///var/run/docker.sock"\nuse_new_container_locator = true';
    expect((await createWorkloadAttestor('docker', parseHcl(text), log)).type).toBe('docker');
    expect((await createWorkloadAttestor('docker', parseHcl(''), log)).type).toBe('docker');
  });

  it.each([
    ['docker_socket_path = "tcp://10.0.0.1:2375"', 'docker_socket_path: must be unix:// and an absolute path'],
    [
      'podman_socket_path_template = "unix:///run/podman.sock"',
      'podman_socket_path_template: must hold %d exactly once',
    ],
    ['podman_socket_path_template = "unix:///%d/%s"', 'podman_socket_path_template: must hold %d exactly once'],
    ['podman_socket_path_template = "unix:///%d/%d"', 'podman_socket_path_template: must hold %d exactly once'],
    ['docker_version = "1.44/../x"', 'docker_version: must be a version of the API'],
    ['sigstore { rekor_url = "https://rekor.example" }', 'sigstore: signatures of images are not verified here'],
    ['docker_host = "npipe:////./pipe/docker_engine"', 'unknown key "docker_host"'],
    ['container_id_cgroup_matchers = ["/docker/<id>"]', 'only with use_new_container_locator = false'],
  ])('is refused with %s', async (text, message) => {
    await expect(createWorkloadAttestor('docker', parseHcl(text), log)).rejects.toThrow(message);
  });

  it.each([
    ['["/docker/*"]', 'pattern "/docker/*" must hold <id> exactly once'],
    ['["/<id>/<id>"]', 'pattern "/<id>/<id>" must hold <id> exactly once'],
    ['["/a/b/<id>", "/*/b/<id>"]', 'patterns "/a/b/<id>" and "/*/b/<id>" are ambiguous'],
  ])('is refused with the matchers %s', async (patterns, message) => {
    const text = `use_new_container_locator = false\ncontainer_id_cgroup_matchers = ${patterns}`;
    await expect(createWorkloadAttestor('docker', parseHcl(text), log)).rejects.toThrow(message);
  });
});
