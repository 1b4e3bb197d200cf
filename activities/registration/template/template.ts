// A template as the controller manager's users write it: the part of Go's text/template without nested templates. It is read once, whole, and refused
// with the name of what it has too much; filled in for each object, where a value that is not there is a fault and never the text `<no value>`.
import { callFunction } from './functions.ts';
import type { Branches, Expression, Node } from './parse.ts';
import { parseTree } from './parse.ts';
import { TemplateError } from './template-error.ts';
import { formatValue, GoStruct, isList, isMap, isTrue, kindOf } from './value.ts';
import type { Value } from './value.ts';

export interface Template {
  readonly text: string;
  /** `checkValue` judges each value before it is put in; throws a TemplateError. */
  render(data: GoStruct, checkValue?: (value: string) => void): string;
}

/** `sample` has the fields that the data will have: a path that it does not have is refused here, once, and not for each pod. */
export function parseTemplate(text: string, sample: GoStruct): Template {
  const tree = parseTree(text);
  checkFields(tree, sample, text);
  return {
    text,
    render(data, checkValue) {
      const scope: Scope = {
        root: data,
        dot: data,
        variables: new Map<string, Value>([['$', data]]),
        outer: undefined,
      };
      try {
        return renderAll(tree, scope, checkValue);
      } catch (cause) {
        throw new TemplateError(text, cause instanceof Error ? cause.message : String(cause), { cause });
      }
    },
  };
}

interface Scope {
  readonly root: GoStruct;
  readonly dot: Value;
  readonly variables: Map<string, Value>;
  readonly outer: Scope | undefined;
}

const within = (scope: Scope, dot: Value): Scope => ({ root: scope.root, dot, variables: new Map(), outer: scope });

function renderAll(nodes: readonly Node[], scope: Scope, check: ((value: string) => void) | undefined): string {
  let text = '';
  for (const node of nodes) text += renderNode(node, scope, check);
  return text;
}

function renderNode(node: Node, scope: Scope, check: ((value: string) => void) | undefined): string {
  if (node.kind === 'text') return node.text;
  const value = evaluate(node.pipeline, scope);
  if (node.kind === 'print') {
    const text = printed(value, node.source);
    check?.(text);
    return text;
  }
  if (node.kind === 'assign') {
    assign(scope, node.name, value, node.isNew);
    return '';
  }
  if (node.kind === 'range') return renderRange(node, value, scope, check);
  if (!isTrue(value)) return renderAll(node.otherwise, within(scope, scope.dot), check);
  return renderAll(node.body, within(scope, node.kind === 'with' ? value : scope.dot), check);
}

function printed(value: Value, source: string): string {
  try {
    return formatValue(value);
  } catch (cause) {
    throw new Error(`{{ ${source} }}: ${(cause as Error).message}`, { cause });
  }
}

function renderRange(
  {
    key,
    element,
    body,
    otherwise,
  }: Branches & { readonly key?: string | undefined; readonly element?: string | undefined },
  value: Value,
  scope: Scope,
  check: ((value: string) => void) | undefined,
): string {
  const items = itemsOf(value);
  if (items.length === 0) return renderAll(otherwise, within(scope, scope.dot), check);
  return items
    .map(([itsKey, item]) => {
      const inner = within(scope, item);
      if (key !== undefined) inner.variables.set(key, itsKey);
      if (element !== undefined) inner.variables.set(element, item);
      return renderAll(body, inner, check);
    })
    .join('');
}

/** Maps go in the order of their keys. */
function itemsOf(value: Value): [Value, Value][] {
  if (value === undefined || value === null) return [];
  if (isList(value)) return value.map((item, index) => [index, item]);
  if (isMap(value))
    return Object.keys(value)
      .sort()
      .map((key) => [key, value[key]]);
  throw new Error(`${kindOf(value)} cannot be ranged over`);
}

function assign(scope: Scope, name: string, value: Value, isNew: boolean): void {
  if (isNew) {
    scope.variables.set(name, value);
    return;
  }
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    if (!at.variables.has(name)) continue;
    at.variables.set(name, value);
    return;
  }
  throw new Error(`variable ${name} is not there`);
}

function evaluate(expression: Expression, scope: Scope): Value {
  switch (expression.kind) {
    case 'constant':
      return expression.value;
    case 'dot':
      return scope.dot;
    case 'variable':
      return lookUp(scope, expression.name);
    case 'field':
      return expression.names.reduce<Value>(fieldOf, evaluate(expression.of, scope));
    case 'call':
      return call(expression.name, expression.operands, scope);
  }
}

function call(name: string, operands: readonly Expression[], scope: Scope): Value {
  if (name !== 'and' && name !== 'or') {
    return callFunction(
      name,
      operands.map((operand) => evaluate(operand, scope)),
    );
  }
  let value: Value;
  for (const operand of operands) {
    value = evaluate(operand, scope);
    if (isTrue(value) === (name === 'or')) return value;
  }
  return value;
}

function lookUp(scope: Scope, name: string): Value {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    if (at.variables.has(name)) return at.variables.get(name);
  }
  throw new Error(`variable ${name} is not there`);
}

function fieldOf(value: Value, name: string): Value {
  if (value instanceof GoStruct) {
    const found = value.field(name);
    if (found === undefined) throw new Error(`a ${value.typeName} has no field ${name}`);
    return found.value;
  }
  if (isMap(value)) return Object.hasOwn(value, name) ? value[name] : undefined;
  throw new Error(`${kindOf(value)} has no field ${name}`);
}

/** Paths from the data itself, outside `with` and `range`, whose dot nobody knows before. */
function checkFields(nodes: readonly Node[], sample: GoStruct, template: string): void {
  for (const node of nodes) {
    if (node.kind === 'text') continue;
    checkExpression(node.pipeline, sample, template);
    if (node.kind === 'print' || node.kind === 'assign') continue;
    checkFields(node.otherwise, sample, template);
    if (node.kind === 'if') checkFields(node.body, sample, template);
  }
}

function checkExpression(expression: Expression, sample: GoStruct, template: string): void {
  if (expression.kind === 'call') expression.operands.forEach((operand) => checkExpression(operand, sample, template));
  if (expression.kind !== 'field') return;
  if (expression.of.kind !== 'dot' && !(expression.of.kind === 'variable' && expression.of.name === '$'))
    return checkExpression(expression.of, sample, template);
  let at: Value = sample;
  for (const name of expression.names) {
    if (!(at instanceof GoStruct)) return;
    const found = at.field(name);
    if (found === undefined) throw new TemplateError(template, `a ${at.typeName} has no field ${name}`);
    at = found.value;
  }
}
