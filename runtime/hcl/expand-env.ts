// `$NAME` and `${NAME}` in a configuration file, replaced as Go's os.ExpandEnv does, which is what `-expandEnv` means in SPIRE.
// It works on the text before it is parsed, comments and strings alike; an unset variable is empty.

const reference = /\$(?:\{([^}]*)\}|(\{)|([*#$@!?0-9-]|[A-Za-z_][A-Za-z0-9_]*))/g;

export function expandEnv(text: string, env: Readonly<Record<string, string | undefined>>): string {
  return text.replace(reference, (_match, braced?: string, _unclosed?: string, bare?: string) => {
    const name = braced ?? bare;
    // `${` without an end is dropped, as in Go.
    return name === undefined || !Object.hasOwn(env, name) ? '' : (env[name] ?? '');
  });
}
