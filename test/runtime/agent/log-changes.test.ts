// What the agent logs of entries and their SVIDs, for scripts that wait for SPIRE's words.
import { expect, test } from 'vitest';
import { logChanges, logSigning } from '../../../runtime/agent/sync/log-changes.ts';
import type { AgentEntry } from '../../../runtime/agent/sync/entry.ts';
import type { WorkloadSvid } from '../../../runtime/agent/cache/workload-svid.ts';
import { createLog } from '../../../runtime/log.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';

const entry = (id: string) => ({ id, spiffeId: parseSpiffeId(`spiffe://example.org/${id}`) }) as unknown as AgentEntry;
const mapOf = (...entries: AgentEntry[]) => new Map(entries.map((each) => [each.id, each]));

function createRecorder(level: 'debug' | 'info') {
  const lines: string[] = [];
  const log = createLog({ level, format: 'text', write: (line) => lines.push(line) });
  return { log, said: () => lines.map((line) => line.trim().replace(/^time="[^"]+" /, '')) };
}

const [kept, changed, gone] = [entry('kept'), entry('changed'), entry('gone')];

test('an entry that comes, changes or goes is told with its IDs, one that stays is not', () => {
  const { log, said } = createRecorder('debug');
  logChanges(mapOf(kept, changed, gone), mapOf(kept, entry('changed'), entry('new')), log);
  expect(said()).toEqual([
    'level=debug msg="Entry updated" entry=changed spiffe_id="spiffe://example.org/changed"',
    'level=debug msg="Entry created" entry=new spiffe_id="spiffe://example.org/new"',
    'level=debug msg="Entry removed" entry=gone spiffe_id="spiffe://example.org/gone"',
  ]);
});

test('nothing of it is told above the level debug', () => {
  const { log, said } = createRecorder('info');
  logChanges(mapOf(), mapOf(kept), log);
  expect(said()).toEqual([]);
});

test('a first SVID is created, a later one renewed', () => {
  const { log, said } = createRecorder('info');
  logSigning(kept, undefined, log);
  logSigning(kept, { notAfter: Date.UTC(2030, 0, 1) } as WorkloadSvid, log);
  logSigning(undefined, undefined, log);
  expect(said()).toEqual([
    'level=info msg="Creating X509-SVID" entry_id=kept spiffe_id="spiffe://example.org/kept"',
    'level=info msg="Renewing X509-SVID" entry_id=kept expires_at="2030-01-01T00:00:00.000Z" spiffe_id="spiffe://example.org/kept"',
  ]);
});
