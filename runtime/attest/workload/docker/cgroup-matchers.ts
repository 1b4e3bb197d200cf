// `container_id_cgroup_matchers`: paths of control groups with `*` for any one part and `<id>` for the part that is the container's id.

export interface CgroupMatchers {
  readonly idIn: (path: string) => string | undefined;
}

const wildcard = '*';
const idToken = '<id>';

/** Throws where a pattern has not one `<id>`, or two patterns could fit one path. */
export function parseCgroupMatchers(patterns: readonly string[]): CgroupMatchers {
  const split = patterns.map((pattern) => pattern.split('/'));
  for (const [i, parts] of split.entries()) {
    if (parts.filter((part) => part === idToken).length !== 1)
      throw new Error(`pattern ${JSON.stringify(patterns[i])} must hold ${idToken} exactly once`);
    const rival = split.findIndex((others, k) => k > i && canBothFit(parts, others));
    if (rival >= 0)
      throw new Error(`patterns ${JSON.stringify(patterns[i])} and ${JSON.stringify(patterns[rival])} are ambiguous`);
  }
  return {
    idIn(path) {
      const parts = path.split('/');
      const fitting = split.find((pattern) => canBothFit(pattern, parts));
      return fitting === undefined ? undefined : parts[fitting.indexOf(idToken)];
    },
  };
}

function canBothFit(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((part, i) => part === b[i] || isOpen(part) || isOpen(b[i]));
}

function isOpen(part: string | undefined): boolean {
  return part === wildcard || part === idToken;
}
