// Name constraints (RFC 5280 §4.2.1.10): which names may occur below a CA. URI constraints are what a SPIFFE path may carry (X509-SVID §4.2).
import { subjectText } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import type { DerReader } from './der/reader.ts';
import { readWhole } from './der/reader.ts';
import { contextConstructed } from './der/tags.ts';
import { refuse } from './errors.ts';
import { decodeIa5, generalNameTags } from './general-names.ts';
import {
  matchesDirectory,
  matchesDomain,
  matchesEmail,
  matchesIp,
  matchesUri,
  overlapsDomain,
} from './name-matching.ts';
import { extensionOids } from './oids.ts';
import { isSelfIssued } from './path-rules.ts';

interface Subtree {
  readonly tag: number;
  readonly content: Uint8Array;
}

interface NameConstraints {
  /** Where it has names of a kind, names of that kind must match one. */
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
}

interface Name {
  readonly tag: number;
  readonly text: string;
  matches(subtree: Subtree): boolean;
  /** Whether any name that this one stands for lies within the subtree; only a wildcard stands for several. */
  overlaps?(subtree: Subtree): boolean;
}

/** Names times constraints of one path: far more than any honest path has, and little work. */
const maxComparisons = 20_000;

/** Leaf first. Every CA's constraints hold for all certificates below it. */
export function checkNameConstraints(path: readonly Certificate[]): void {
  const [leaf] = path;
  if (leaf !== undefined && !leaf.isCa && leaf.extensions.some(({ oid }) => oid === extensionOids.nameConstraints)) {
    throw refuse('NAME_CONSTRAINTS', 'leaf has name constraints, which are for CAs');
  }
  let comparisons = 0;
  for (const [index, ca] of path.entries()) {
    if (index === 0) continue;
    const constraints = constraintsOf(ca);
    if (constraints === undefined) continue;
    for (const certificate of path.slice(0, index).filter(isConstrained)) {
      const names = namesOf(certificate);
      comparisons += names.length * (constraints.permitted.length + constraints.excluded.length);
      if (comparisons > maxComparisons)
        throw refuse('SEARCH_LIMIT', `more than ${maxComparisons} comparisons of names with constraints`);
      checkNames(names, constraints, ca);
    }
  }
}

/** RFC 5280 §6.1.3 (b): a CA that renews its own key is free of its issuer's constraints, a leaf never is. */
function isConstrained(certificate: Certificate, index: number): boolean {
  return index === 0 || !isSelfIssued(certificate);
}

function checkNames(names: readonly Name[], { permitted, excluded }: NameConstraints, ca: Certificate): void {
  for (const name of names) {
    const wanted = permitted.filter(({ tag }) => tag === name.tag);
    if (wanted.length > 0 && !wanted.some((subtree) => name.matches(subtree))) {
      throw refuse('NAME_CONSTRAINTS', `name ${name.text} is not among those that "${subjectText(ca)}" permits`);
    }
    if (excluded.some((subtree) => subtree.tag === name.tag && (name.overlaps ?? name.matches)(subtree))) {
      throw refuse('NAME_CONSTRAINTS', `name ${name.text} is excluded by "${subjectText(ca)}"`);
    }
  }
}

function namesOf({ names, subject }: Certificate): Name[] {
  const textual = (
    tag: number,
    texts: readonly string[],
    matches: (text: string, constraint: string) => boolean,
  ): Name[] => texts.map((text) => ({ tag, text, matches: ({ content }) => matches(text, decodeIa5(content)) }));
  const directory = (name: Uint8Array): Name => ({
    tag: generalNameTags.directory,
    text: `"${subjectText({ subject: name })}"`,
    matches: ({ content }) => matchesDirectory(name, content),
  });
  const hasSubject = subject.length > 2;
  return [
    ...textual(generalNameTags.uri, names.uris, matchesUri),
    ...names.dnsNames.map((text): Name => ({
      tag: generalNameTags.dns,
      text,
      matches: ({ content }) => matchesDomain(text, decodeIa5(content)),
      overlaps: ({ content }) => overlapsDomain(text, decodeIa5(content)),
    })),
    ...textual(generalNameTags.email, names.emails, matchesEmail),
    ...names.ipAddresses.map((address): Name => ({
      tag: generalNameTags.ip,
      text: `IP ${Buffer.from(address).toString('hex')}`,
      matches: ({ content }) => matchesIp(address, content),
    })),
    ...(hasSubject ? [subject, ...names.directoryNames] : names.directoryNames).map(directory),
  ];
}

function constraintsOf(ca: Certificate): NameConstraints | undefined {
  const extension = ca.extensions.find(({ oid }) => oid === extensionOids.nameConstraints);
  if (extension === undefined) return undefined;
  return readWhole(extension.value, (reader) => {
    const fields = reader.sequence();
    if (fields.done) throw refuse('CERTIFICATE', 'name constraints are empty');
    const permitted =
      fields.nextTag === contextConstructed(0) ? readSubtrees(fields.inside(contextConstructed(0))) : [];
    const excluded = fields.nextTag === contextConstructed(1) ? readSubtrees(fields.inside(contextConstructed(1))) : [];
    fields.finish();
    return { permitted, excluded };
  });
}

/** A kind of name that we cannot compare is refused: to skip it would lift the constraint. */
function readSubtrees(list: DerReader): Subtree[] {
  const known: readonly number[] = Object.values(generalNameTags);
  const subtrees: Subtree[] = [];
  while (!list.done) {
    const subtree = list.sequence();
    const { tag, content } = subtree.element();
    subtree.finish(); // minimum and maximum: RFC 5280 leaves no use for them
    if (!known.includes(tag))
      throw refuse('NAME_CONSTRAINTS', `constraint on names with tag 0x${tag.toString(16)} is not supported`);
    subtrees.push({ tag, content });
  }
  if (subtrees.length === 0) throw refuse('CERTIFICATE', 'list of name constraints is empty');
  return subtrees;
}
