// IAM policy documents, evaluated: explicit deny, then allow, else refused. What this lab cannot evaluate it refuses to store, so that no
// policy means less here than it says.
import { AwsError } from './errors.ts';

interface Statement {
  readonly effect: 'Allow' | 'Deny';
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly principals: readonly { readonly kind: string; readonly value: string }[];
  readonly conditions: readonly Condition[];
}

interface Condition {
  readonly operator: 'StringEquals' | 'StringLike';
  readonly key: string;
  readonly values: readonly string[];
}

export interface PolicyRequest {
  readonly action: string;
  readonly resource?: string;
  /** For trust policies: who asks. */
  readonly principal?: { readonly kind: 'Service' | 'AWS' | 'Federated'; readonly value: string };
  readonly conditions?: Readonly<Record<string, string>>;
}

const statementKeys = ['Sid', 'Effect', 'Action', 'Resource', 'Principal', 'Condition'];

export function parsePolicy(text: string, kind: 'identity' | 'trust'): readonly Statement[] {
  const document = object(parseJson(text), 'policy');
  if (document['Version'] !== '2012-10-17') throw malformed('Version must be 2012-10-17');
  const statements = document['Statement'];
  return (Array.isArray(statements) ? statements : [statements]).map((item) =>
    parseStatement(object(item, 'Statement'), kind),
  );
}

/** True when a statement allows the request and none denies it. */
export function allows(statements: readonly Statement[], request: PolicyRequest): boolean {
  const matching = statements.filter((statement) => applies(statement, request));
  return matching.some(({ effect }) => effect === 'Allow') && !matching.some(({ effect }) => effect === 'Deny');
}

function applies(statement: Statement, { action, resource, principal, conditions = {} }: PolicyRequest): boolean {
  if (!statement.actions.some((pattern) => matches(pattern.toLowerCase(), action.toLowerCase()))) return false;
  if (resource !== undefined && !statement.resources.some((pattern) => matches(pattern, resource))) return false;
  if (
    principal !== undefined &&
    !statement.principals.some(({ kind, value }) => kind === principal.kind && value === principal.value)
  )
    return false;
  return statement.conditions.every(({ operator, key, values }) => {
    const actual = conditions[key.toLowerCase()];
    if (actual === undefined) return false;
    return values.some((value) => (operator === 'StringEquals' ? value === actual : matches(value, actual)));
  });
}

function parseStatement(item: Record<string, unknown>, kind: 'identity' | 'trust'): Statement {
  const unknown = Object.keys(item).find((key) => !statementKeys.includes(key));
  if (unknown !== undefined) throw malformed(`the lab does not evaluate ${unknown}`);
  const effect = item['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny') throw malformed('Effect must be Allow or Deny');
  if (kind === 'identity' && item['Resource'] === undefined) throw malformed('a statement has no Resource');
  if (kind === 'identity' && item['Principal'] !== undefined) throw malformed('an identity policy has no Principal');
  if (kind === 'trust' && item['Principal'] === undefined) throw malformed('a trust policy needs a Principal');
  const actions = strings(item['Action'], 'Action');
  if (actions.some((action) => action !== '*' && !action.includes(':')))
    throw malformed('actions are of the form service:action');
  return {
    effect,
    actions,
    resources: item['Resource'] === undefined ? [] : strings(item['Resource'], 'Resource'),
    principals:
      item['Principal'] === undefined
        ? []
        : Object.entries(object(item['Principal'], 'Principal')).flatMap(([name, value]) =>
            strings(value, 'Principal').map((one) => ({ kind: name, value: one })),
          ),
    conditions: item['Condition'] === undefined ? [] : parseConditions(object(item['Condition'], 'Condition')),
  };
}

function parseConditions(block: Record<string, unknown>): Condition[] {
  return Object.entries(block).flatMap(([operator, keys]) => {
    if (operator !== 'StringEquals' && operator !== 'StringLike')
      throw malformed(`the lab does not evaluate the condition ${operator}`);
    return Object.entries(object(keys, operator)).map(([key, values]) => ({
      operator,
      key,
      values: strings(values, key),
    }));
  });
}

/** `*` any text, `?` one character. */
function matches(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('not JSON');
  }
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(`${what} must be an object`);
  return value as Record<string, unknown>;
}

function strings(value: unknown, what: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0 || !list.every((item) => typeof item === 'string'))
    throw malformed(`${what} must be a text or a list of texts`);
  return list;
}

function malformed(message: string): AwsError {
  return new AwsError('MalformedPolicyDocument', message);
}
