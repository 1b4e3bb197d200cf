// Runs acts one after another: rotation by the clock and rotation by hand must not meet halfway.

export function createExclusion(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(act: () => Promise<T>): Promise<T> => {
    const result = last.then(act);
    // Whoever called hears of the failure; the next in line does not.
    last = result.catch(() => undefined);
    return result;
  };
}
