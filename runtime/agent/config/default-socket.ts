// Where SPIRE's agent has its Workload API unless it is told otherwise: agents listen there and commands look there.
export const defaultSocketPath = '/tmp/spire-agent/public/api.sock';
// The same of its admin socket.
export const defaultAdminSocketPath = '/tmp/spire-agent/private/admin.sock';
