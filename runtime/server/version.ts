// The server's version: SPIRE's whose surface it has, then its own.
export const version = '1.15.3-espalier-0.1.0';
