// Entries and agents in memory, indexed for the question "what may this agent serve": its own entries, those of the node aliases that its selectors
// fulfil, and everything below them. Pure data: who keeps it up to date is authorized-entries.ts.
import { formatSelector } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { isServerPath } from '../../spiffe/spiffe-id.ts';
import type { AgentRecord, EntryRecord } from './records.ts';

interface Authorized {
  readonly list: readonly EntryRecord[];
  readonly byId: ReadonlyMap<string, EntryRecord>;
  /** unix seconds: when the first of them expires. */
  readonly until: number;
}

interface Alias {
  readonly spiffeId: string;
  readonly selectors: readonly string[];
}

export class EntryIndex {
  readonly #entries = new Map<string, EntryRecord>();
  readonly #byParent = new Map<string, Map<string, EntryRecord>>();
  /** Most IDs have one entry, and a map for each of those would weigh as much as the entries. */
  readonly #bySpiffeId = new Map<string, EntryRecord | Map<string, EntryRecord>>();
  /** By entry id: entries whose parent is the server stand for all agents with their selectors. */
  readonly #aliases = new Map<string, Alias>();
  readonly #agents = new Map<string, AgentRecord>();
  /** Answers since the last change. */
  readonly #answers = new Map<string, Authorized>();

  setEntry(entry: EntryRecord): void {
    this.removeEntry(entry.id);
    this.#forgetAnswersWith(entry);
    this.#entries.set(entry.id, entry);
    addTo(this.#byParent, entry.parentId, entry);
    const same = this.#bySpiffeId.get(entry.spiffeId);
    this.#bySpiffeId.set(entry.spiffeId, same === undefined ? entry : mapOf(same).set(entry.id, entry));
    if (!isServer(entry.parentId)) return;
    this.#aliases.set(entry.id, { spiffeId: entry.spiffeId, selectors: entry.selectors.map(formatSelector) });
  }

  removeEntry(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#forgetAnswersWith(entry);
    this.#entries.delete(id);
    this.#aliases.delete(id);
    removeFrom(this.#byParent, entry.parentId, entry);
    const same = this.#bySpiffeId.get(entry.spiffeId);
    if (same instanceof Map) same.delete(id);
    if (same === entry || (same instanceof Map && same.size === 0)) this.#bySpiffeId.delete(entry.spiffeId);
  }

  setAgent(agent: AgentRecord): void {
    // Serial numbers change with each renewal, answers do not.
    if (!sameSelectors(this.#agents.get(agent.spiffeId)?.selectors, agent.selectors))
      this.#answers.delete(agent.spiffeId);
    this.#agents.set(agent.spiffeId, agent);
  }

  removeAgent(spiffeId: string): void {
    this.#answers.delete(spiffeId);
    this.#agents.delete(spiffeId);
  }

  entry(id: string): EntryRecord | undefined {
    return this.#entries.get(id);
  }

  agent(spiffeId: string): AgentRecord | undefined {
    return this.#agents.get(spiffeId);
  }

  entriesFor(spiffeId: string): Iterable<EntryRecord> {
    const held = this.#bySpiffeId.get(spiffeId);
    return held === undefined ? [] : mapOf(held).values();
  }

  entryIds(): string[] {
    return [...this.#entries.keys()];
  }

  agentIds(): string[] {
    return [...this.#agents.keys()];
  }

  authorized(agentId: string, nowSeconds: number): Authorized {
    const known = this.#answers.get(agentId);
    if (known !== undefined && nowSeconds < known.until) return known;
    const answer = this.#collect(agentId, nowSeconds);
    this.#answers.set(agentId, answer);
    return answer;
  }

  #collect(agentId: string, nowSeconds: number): Authorized {
    const byId = new Map<string, EntryRecord>();
    let until = Number.POSITIVE_INFINITY;
    const visited = new Set<string>();
    // A list, not recursion: how deep entries hang below each other is up to whoever creates them.
    const parents = [agentId, ...this.#aliasesOf(agentId)];
    for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
      if (visited.has(parent)) continue;
      visited.add(parent);
      for (const entry of this.#byParent.get(parent)?.values() ?? []) {
        parents.push(entry.spiffeId);
        if (isExpired(entry, nowSeconds)) continue;
        byId.set(entry.id, entry);
        if (entry.expiresAt > 0) until = Math.min(until, entry.expiresAt);
      }
    }
    const list = [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return { list, byId, until };
  }

  /** Upwards from the entry to the agents that hold it or would: others keep their answers. */
  #forgetAnswersWith(changed: EntryRecord): void {
    if (this.#answers.size === 0) return;
    const visited = new Set<string>();
    const above = [changed];
    for (let entry = above.pop(); entry !== undefined; entry = above.pop()) {
      if (isServer(entry.parentId)) this.#forgetAnswersOfAgentsWith(entry.selectors.map(formatSelector));
      if (visited.has(entry.parentId)) continue;
      visited.add(entry.parentId);
      this.#answers.delete(entry.parentId);
      above.push(...this.entriesFor(entry.parentId));
    }
  }

  #forgetAnswersOfAgentsWith(selectors: readonly string[]): void {
    for (const agentId of this.#answers.keys()) {
      const have = new Set(this.#agents.get(agentId)?.selectors.map(formatSelector));
      if (selectors.every((text) => have.has(text))) this.#answers.delete(agentId);
    }
  }

  #aliasesOf(agentId: string): string[] {
    const agent = this.#agents.get(agentId);
    if (agent === undefined) return [];
    const have = new Set(agent.selectors.map(formatSelector));
    const fulfilled = [...this.#aliases.values()].filter(({ selectors }) => selectors.every((text) => have.has(text)));
    return fulfilled.map(({ spiffeId }) => spiffeId);
  }
}

/** Parents are members of the one trust domain, so the path tells. */
function isServer(spiffeId: string): boolean {
  return isServerPath(spiffeId.replace(/^spiffe:\/\/[^/]*/, ''));
}

export function isExpired({ expiresAt }: EntryRecord, nowSeconds: number): boolean {
  return expiresAt > 0 && expiresAt <= nowSeconds;
}

function mapOf(held: EntryRecord | Map<string, EntryRecord>): Map<string, EntryRecord> {
  return held instanceof Map ? held : new Map([[held.id, held]]);
}

function addTo(index: Map<string, Map<string, EntryRecord>>, key: string, entry: EntryRecord): void {
  const held = index.get(key) ?? new Map<string, EntryRecord>();
  held.set(entry.id, entry);
  index.set(key, held);
}

function removeFrom(index: Map<string, Map<string, EntryRecord>>, key: string, entry: EntryRecord): void {
  const held = index.get(key);
  held?.delete(entry.id);
  if (held?.size === 0) index.delete(key);
}

function sameSelectors(a: readonly Selector[] | undefined, b: readonly Selector[]): boolean {
  return (
    a !== undefined &&
    a.length === b.length &&
    a.every(({ type, value }, i) => b[i]?.type === type && b[i].value === value)
  );
}
