// A loopback address that is this process's own: for what has to know its port before it listens, which another process may have on any other address.
export const ownAddress = `127.88.${(process.pid >> 8) & 255}.${process.pid & 255}`;
