// An OCI image layout of one image with one layer, as Crossplane reads packages: the layer holds `package.yaml` and is marked as the base. Nothing
// but files and digests, so no container engine is needed to make it.
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tarOf } from './tar.ts';

/** What Crossplane looks for in a manifest, and in an image's labels. */
const mark = 'io.crossplane.xpkg';
const base = 'base';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Returns the manifest's digest, by which the package is known. */
export function writeLayout(directory: string, reference: string, packageYaml: string): string {
  const blobs = join(directory, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  const store = (mediaType: string, content: Buffer): Descriptor => {
    const digest = sha256(content);
    writeFileSync(join(blobs, digest), content);
    return { mediaType, digest: `sha256:${digest}`, size: content.length };
  };
  const storeJson = (mediaType: string, value: object): Descriptor =>
    store(mediaType, Buffer.from(JSON.stringify(value)));

  const archive = tarOf(new Map([['package.yaml', packageYaml]]));
  const layer = store('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(archive));
  const config = storeJson('application/vnd.oci.image.config.v1+json', {
    architecture: 'amd64', // the format asks for one; a package runs nowhere
    os: 'linux',
    config: { Labels: { [`${mark}:${layer.digest}`]: base } },
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(archive)}`] },
    history: [],
  });
  const manifest = storeJson('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: [{ ...layer, annotations: { [mark]: base } }],
  });
  writeFileSync(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': reference } };
  writeFileSync(
    join(directory, 'index.json'),
    JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [named] }),
  );
  return manifest.digest;
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
