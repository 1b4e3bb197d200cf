// Node's HTTP, without what an import statement brings with it: it reads every name that the module exports, and one of them is a getter that loads
// all of `fetch`, three megabytes for good. For programs that stay small.

export const { createServer, request } = process.getBuiltinModule('node:http');
