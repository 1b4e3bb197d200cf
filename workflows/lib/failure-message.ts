// The innermost message of a failure: activity and child failures wrap the one that says what happened.
export function rootMessage(cause: unknown): string {
  let message = String(cause);
  let current: unknown = cause;
  while (current instanceof Error) {
    message = current.message;
    current = current.cause;
  }
  return message;
}
