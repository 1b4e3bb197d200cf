// Workload attestor "docker": labels, environment and image of the container that a process runs in, as Docker, or Podman, tells them.
import type { Logger } from '../../../log.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import type { WorkloadAttestor } from '../attestor.ts';
import { WorkloadAttestError } from '../attestor.ts';
import { containerIdIn, locateContainer, userWhoNamed } from '../container-locator.ts';
import type { LocatedContainer } from '../container-locator.ts';
import type { DockerConfig } from './config.ts';
import { inspectContainer } from './engine.ts';
import type { Container } from './engine.ts';

export interface DockerAttestorOptions extends DockerConfig {
  readonly log: Logger;
  readonly procDirectory?: string;
}

const type = 'docker';

export function createDockerAttestor(options: DockerAttestorOptions): WorkloadAttestor {
  const { log, procDirectory, matchers, verboseContainerLocatorLogs, version } = options;
  const idIn = matchers?.idIn ?? containerIdIn;
  const locator = {
    find(path: string) {
      const id = idIn(path);
      return id === undefined ? undefined : { id };
    },
    readsMounts: matchers === undefined,
    ...(verboseContainerLocatorLogs ? { verboseLog: log } : {}),
    ...(procDirectory === undefined ? {} : { procDirectory }),
  };
  return {
    type,
    async attest(pid, signal) {
      const located = await locateContainer(pid, locator);
      if (located === undefined) return [];
      if (!/^[A-Za-z0-9][\w.-]*$/.test(located.id))
        throw new WorkloadAttestError('CONTAINER', `container id is not one: ${JSON.stringify(located.id)}`);
      const container = await inspectContainer(
        { socketPath: engineSocket(located, options), version },
        located.id,
        signal,
      );
      return selectorValues(container).map((value): Selector => ({ type, value }));
    },
  };
}

/**
 * Below a user's slice, that user may name control groups, and answers at a socket of their own: a container there is what the user says. So it is
 * looked at only where the configuration names the users' sockets, and never asked of Docker, whose containers are not there.
 */
function engineSocket({ id, cgroupPaths }: LocatedContainer, config: DockerConfig): string {
  const isPodman = cgroupPaths.some((path) => /libpod-|\/libpod\//.test(path));
  const user = userWhoNamed(cgroupPaths);
  if (user === undefined) return isPodman ? config.podmanSocketPath : config.dockerSocketPath;
  if (!isPodman)
    throw new WorkloadAttestError(
      'CONTAINER',
      `container ${id} is below the slice of user ${user}, who may have named it`,
    );
  if (config.podmanSocketOf === undefined) {
    throw new WorkloadAttestError(
      'CONTAINER',
      `container ${id} is of user ${user}'s Podman, and podman_socket_path_template is not configured`,
    );
  }
  return config.podmanSocketOf(user);
}

function selectorValues({
  Image: digest,
  Config: { Image: image, Labels: labels, Env: environment },
}: Container): string[] {
  return [
    ...Object.entries(labels ?? {}).map(([name, value]) => `label:${name}:${value}`),
    ...(environment ?? []).map((variable) => `env:${variable}`),
    ...(image === '' ? [] : [`image_id:${image}`]),
    ...(digest === undefined || digest === '' ? [] : [`image_config_digest:${withAlgorithm(digest)}`]),
  ];
}

/** Older Podmans leave it out. */
function withAlgorithm(digest: string): string {
  return digest.includes(':') ? digest : `sha256:${digest}`;
}
