// How many calls a server works on at once. Beyond that it refuses at once: a caller that hears so soon can go elsewhere or come later, and the server
// does not fall over with all of them in its hands. Streams that answer for as long as they live are not counted: each connection bounds its own.

export interface CallLimit {
  readonly most: number;
  /** False where the call must not begin; whoever entered leaves. */
  enter(): boolean;
  leave(): void;
}

export function createCallLimit(most: number): CallLimit {
  let running = 0;
  return {
    most,
    enter() {
      if (running >= most) return false;
      running += 1;
      return true;
    },
    leave() {
      running -= 1;
    },
  };
}
