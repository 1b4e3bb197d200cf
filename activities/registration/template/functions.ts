// The functions of Go's text/template, which are all that the controller manager gives to a template. `html`, `js` and `call` are not here: what they make
// has no place in a SPIFFE ID, a selector or a DNS name.
import { formatValue, GoStruct, isList, isMap, isTrue, kindOf } from './value.ts';
import type { Value } from './value.ts';

type Function = (...operands: readonly Value[]) => Value;

const functions: Readonly<Record<string, Function>> = {
  not: (value) => !isTrue(value),
  index: (value, ...keys) => keys.reduce<Value>(indexed, value),
  slice: (value, from = 0, to) => sliced(value, from, to),
  len: lengthOf,
  print: (...operands) => operands.map(formatValue).join(' '),
  println: (...operands) => `${operands.map(formatValue).join(' ')}\n`,
  printf: (format, ...operands) => formatted(format, operands),
  urlquery: (...operands) => encodeURIComponent(operands.map(formatValue).join('')).replaceAll('%20', '+'),
  eq: (first, ...others) => {
    if (others.length === 0) throw new Error('eq needs two operands');
    return others.some((other) => isEqual(first, other));
  },
  ne: (a, b) => !isEqual(a, b),
  lt: (a, b) => isLess(a, b),
  le: (a, b) => !isLess(b, a),
  gt: (a, b) => isLess(b, a),
  ge: (a, b) => !isLess(a, b),
};

/** `and` and `or` look at an operand only when they need it: the evaluator has them. */
export const functionNames: ReadonlySet<string> = new Set([...Object.keys(functions), 'and', 'or']);

export function callFunction(name: string, operands: readonly Value[]): Value {
  const act = functions[name];
  if (act === undefined) throw new Error(`function "${name}" is not there`);
  return act(...operands);
}

/** A key that a map of strings does not have is the empty string here, and nothing at all where it is asked for as a field: so Go has it. */
function indexed(value: Value, key: Value): Value {
  if (isMap(value)) {
    if (typeof key !== 'string') throw new Error(`a map has no ${kindOf(key)} as its key`);
    return Object.hasOwn(value, key) ? value[key] : '';
  }
  if (isList(value)) {
    if (typeof key !== 'number' || !Number.isInteger(key)) throw new Error(`a list has no ${kindOf(key)} as its index`);
    if (key < 0 || key >= value.length) throw new Error(`index ${key} is out of range: there are ${value.length}`);
    return value[key];
  }
  throw new Error(`${kindOf(value)} cannot be indexed`);
}

function sliced(value: Value, from: Value, to: Value): Value {
  if (typeof value !== 'string' && !isList(value)) throw new Error(`${kindOf(value)} cannot be sliced`);
  const end = to ?? value.length;
  if (typeof from !== 'number' || typeof end !== 'number' || from < 0 || end < from || end > value.length)
    throw new Error(`a slice from ${formatValue(from)} to ${formatValue(end)} is out of range`);
  return value.slice(from, end);
}

function lengthOf(value: Value): Value {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (isList(value)) return value.length;
  if (isMap(value)) return Object.keys(value).length;
  throw new Error(`${kindOf(value)} has no length`);
}

function formatted(format: Value, operands: readonly Value[]): string {
  if (typeof format !== 'string') throw new Error(`${kindOf(format)} is no format`);
  let used = 0;
  const text = format.replaceAll(/%(.?)/g, (whole, verb: string) => {
    if (verb === '%') return '%';
    if (!'svdtq'.includes(verb) || verb === '') throw new Error(`format ${whole} is not supported`);
    if (used >= operands.length) throw new Error(`format ${whole} has no operand`);
    const operand = operands[used++];
    return verb === 'q' ? JSON.stringify(formatValue(operand)) : formatValue(operand);
  });
  if (used < operands.length) throw new Error(`the format takes ${used} operands and not ${operands.length}`);
  return text;
}

function isEqual(a: Value, b: Value): boolean {
  for (const value of [a, b]) {
    if (isList(value) || isMap(value) || value instanceof GoStruct)
      throw new Error(`${kindOf(value)} cannot be compared`);
  }
  if (a !== undefined && b !== undefined && a !== null && b !== null && typeof a !== typeof b)
    throw new Error(`${kindOf(a)} cannot be compared with ${kindOf(b)}`);
  return a === b;
}

function isLess(a: Value, b: Value): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a < b;
  if (typeof a === 'string' && typeof b === 'string') return a < b;
  throw new Error(`${kindOf(a)} has no order with ${kindOf(b)}`);
}
