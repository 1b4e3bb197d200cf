// What a worker reads of its environment: all of it at once, with every fault named, and none of it shown.
import { describe, expect, it } from 'vitest';
import { parseSettings } from '../../workers/settings.ts';

const environment = {
  ESPALIER_ARTIFACT_URL: 'http://127.0.0.1:1/espalier.tar.gz',
  ESPALIER_ARTIFACT_SHA256: 'ab'.repeat(32),
  ESPALIER_WORKER_DIRECTORY: '/var/lib/espalier/worker',
  ESPALIER_WORKLOAD_SOCKET: '/run/espalier/api.sock',
};

function faultsOf(changed: Readonly<Record<string, string | undefined>>): string {
  try {
    parseSettings({ ...environment, ...changed });
  } catch (cause) {
    return (cause as Error).message;
  }
  return '';
}

describe('parseSettings', () => {
  it('takes what every worker needs', () => {
    expect(parseSettings(environment)).toEqual(environment);
  });

  it('takes what only some workers have', () => {
    const more = {
      ...environment,
      ESPALIER_LAB_FILE: '/lab.json',
      ESPALIER_DATABASE_ADMIN_URL: 'postgres://h/d',
      ESPALIER_UPSTREAM_AUTHORITY_DIRECTORY: '/authority',
    };
    expect(parseSettings(more)).toEqual(more);
  });

  it('leaves what is not ours where it is', () => {
    expect(parseSettings({ ...environment, AWS_SECRET_ACCESS_KEY: 'x', HOME: '/root' })).toEqual(environment);
  });

  it.each(Object.keys(environment))('refuses an environment without %s', (name) => {
    expect(faultsOf({ [name]: undefined })).toContain(name);
  });

  it.each([
    ['ESPALIER_ARTIFACT_URL', '/espalier.tar.gz'],
    ['ESPALIER_ARTIFACT_SHA256', 'AB'.repeat(32)],
    ['ESPALIER_ARTIFACT_SHA256', 'ab'.repeat(31)],
    ['ESPALIER_ARTIFACT_SHA256', `${'ab'.repeat(32)}\n`],
  ])('refuses %s of %j', (name, value) => {
    expect(faultsOf({ [name]: value })).toContain(name);
  });

  it('names every fault at once', () => {
    expect(() => parseSettings({})).toThrow(/has 4 faults: ESPALIER_ARTIFACT_URL: .*; ESPALIER_ARTIFACT_SHA256: /);
  });

  it('shows no value', () => {
    expect(faultsOf({ ESPALIER_ARTIFACT_URL: 'hunter2', ESPALIER_ARTIFACT_SHA256: 'hunter2' })).not.toContain(
      'hunter2',
    );
  });
});
