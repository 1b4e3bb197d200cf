// A store that dies with its server: from the moment of death every call fails, so that a server that was killed leaves nothing more behind.
import type { Store } from '../../runtime/server/store/store.ts';

export interface MortalStore {
  readonly store: Store;
  die(): void;
}

export function mortal(store: Store): MortalStore {
  let isDead = false;
  const guarded = new Proxy(store, {
    get(target, name) {
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== 'function' || name === 'watch') return method;
      return (...args: unknown[]): unknown => {
        if (isDead) return Promise.reject(new Error(`the server is dead, and calls ${String(name)}`));
        return (method as (...all: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  return { store: guarded, die: () => void (isDead = true) };
}
