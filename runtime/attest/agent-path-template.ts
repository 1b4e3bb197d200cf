// `agent_path_template`: the part of Go's text/template that agent paths use, `{{ .Field }}`, `{{ .Field.key }}` and `{{ index .Field "key" }}`.
// Anything else is refused when the configuration is read, not when a node attests. Values are put in as they are: the path is checked afterwards.
import { createSpiffeId } from '../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { undecided } from './attest-error.ts';

export type TemplateValues = Readonly<Record<string, string | Readonly<Record<string, string>>>>;

type Part = { readonly text: string } | { readonly field: string; readonly key: string | undefined };

export interface AgentPathTemplate {
  readonly parts: readonly Part[];
  /** Whether the path depends on that field. */
  uses(field: string): boolean;
}

const agentRoot = '/spire/agent';
const action = /\{\{(.*?)\}\}/gs;
const fieldAction = /^\.([A-Za-z]\w*)(?:\.([A-Za-z_]\w*))?$/;
const indexAction = /^index\s+\.([A-Za-z]\w*)\s+"([^"\\]*)"$/;

/** Throws an Error that says what is not supported. `fields` are the names that the method gives values for. */
export function parseAgentPathTemplate(text: string, fields: readonly string[]): AgentPathTemplate {
  const parts: Part[] = [];
  let end = 0;
  for (const match of text.matchAll(action)) {
    parts.push({ text: text.slice(end, match.index) }, parseAction((match[1] ?? '').trim(), fields));
    end = match.index + match[0].length;
  }
  const rest = text.slice(end);
  if (rest.includes('{{') || rest.includes('}}'))
    throw new Error(`template ${JSON.stringify(text)} has an action without its end`);
  parts.push({ text: rest });
  return { parts, uses: (field) => parts.some((part) => 'field' in part && part.field === field) };
}

function parseAction(source: string, fields: readonly string[]): Part {
  const match = fieldAction.exec(source) ?? indexAction.exec(source);
  const field = match?.[1];
  if (field === undefined)
    throw new Error(`template action ${JSON.stringify(source)} is not supported: only fields and index are`);
  if (!fields.includes(field)) throw new Error(`template field .${field} is unknown, want one of ${fields.join(', ')}`);
  return { field, key: match?.[2] };
}

/** The agent's ID: the template's result stands below `/spire/agent`. Whatever does not make a well-formed path is refused. */
export function agentIdOf(template: AgentPathTemplate, values: TemplateValues, trustDomain: TrustDomain): SpiffeId {
  const path = template.parts
    .map((part) => ('text' in part ? part.text : valueOf(part.field, part.key, values)))
    .join('');
  try {
    return createSpiffeId(trustDomain, agentRoot + (path.startsWith('/') ? path : `/${path}`));
  } catch (cause) {
    throw undecided('AGENT_PATH', `agent path ${JSON.stringify(path)} is not a SPIFFE ID path`, cause);
  }
}

function valueOf(field: string, key: string | undefined, values: TemplateValues): string {
  const value = Object.hasOwn(values, field) ? values[field] : undefined;
  if (key === undefined && typeof value === 'string') return value;
  if (key !== undefined && typeof value === 'object' && Object.hasOwn(value, key)) return value[key] ?? '';
  throw undecided(
    'AGENT_PATH',
    `agent path needs .${field}${key === undefined ? '' : `.${key}`}, which this node does not have`,
  );
}
