// The input of an action of the APIs that speak JSON: a field of the wanted kind, or the refusal that AWS gives.
import { AwsError } from './errors.ts';

export type Input = Readonly<Record<string, unknown>>;

export function text(input: Input, name: string): string {
  const value = optionalText(input, name);
  if (value === undefined || value === '') throw new AwsError('ValidationException', `${name} is missing`);
  return value;
}

export function optionalText(input: Input, name: string): string | undefined {
  const value = input[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new AwsError('ValidationException', `${name} must be a text`);
}

export function texts(input: Input, name: string): string[] {
  const value = input[name] ?? [];
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
  throw new AwsError('ValidationException', `${name} must be a list of texts`);
}
