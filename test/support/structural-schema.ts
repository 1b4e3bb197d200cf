// Holds values against the OpenAPI schemas of Kubernetes' custom resources, strictly: a field that the schema does not know is a fault. It knows what
// those schemas use, and the one rule in CEL that the providers generate, "required unless only observed". The API server itself is asked in `peers`.

export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly nullable?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message?: string }[];
}

/** Every fault with its place; none where the value holds. */
export function schemaFaults(schema: Schema, value: unknown, place: string): string[] {
  if (schema['x-kubernetes-int-or-string'] === true)
    return Number.isInteger(value) || typeof value === 'string' ? [] : [`${place}: neither integer nor string`];
  if (value === null) return schema.nullable === true ? [] : [`${place}: must not be null`];
  if (schema.type !== undefined && !isOfType(schema.type, value))
    return [`${place}: must be ${schema.type}, not ${JSON.stringify(value)}`];
  if (schema.enum !== undefined && !schema.enum.includes(value)) return [`${place}: none of ${schema.enum.join(', ')}`];
  if (Array.isArray(value)) return arrayFaults(schema, value, place);
  if (typeof value === 'object') return objectFaults(schema, value as Record<string, unknown>, place);
  return scalarFaults(schema, value, place);
}

function isOfType(type: string, value: unknown): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && !Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  return typeof value === type;
}

function arrayFaults(schema: Schema, value: readonly unknown[], place: string): string[] {
  const { minItems = 0, maxItems = Infinity, items } = schema;
  if (value.length < minItems || value.length > maxItems) return [`${place}: ${value.length} items`];
  return items === undefined ? [] : value.flatMap((item, index) => schemaFaults(items, item, `${place}[${index}]`));
}

function objectFaults(schema: Schema, value: Record<string, unknown>, place: string): string[] {
  const { properties = {}, additionalProperties, required = [] } = schema;
  const missing = required.filter((name) => value[name] === undefined).map((name) => `${place}.${name}: is required`);
  const fields = Object.entries(value).flatMap(([name, field]) => {
    const known = properties[name];
    if (known !== undefined) return schemaFaults(known, field, `${place}.${name}`);
    if (typeof additionalProperties === 'object') return schemaFaults(additionalProperties, field, `${place}.${name}`);
    const isFree = additionalProperties === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
    return isFree ? [] : [`${place}.${name}: unknown field`];
  });
  return [...missing, ...fields, ...ruleFaults(schema, value, place)];
}

/** `… || has(self.forProvider.x) || …`: what a provider requires to create. */
function ruleFaults(schema: Schema, value: Record<string, unknown>, place: string): string[] {
  return (schema['x-kubernetes-validations'] ?? []).flatMap(({ rule }) => {
    const field = /has\(self\.forProvider\.(\w+)\)/.exec(rule)?.[1];
    const given = value['forProvider'] as Record<string, unknown> | undefined;
    return field === undefined || given?.[field] !== undefined ? [] : [`${place}.forProvider.${field}: is required`];
  });
}

function scalarFaults(schema: Schema, value: unknown, place: string): string[] {
  const { pattern, minimum = -Infinity, maximum = Infinity, minLength = 0, maxLength = Infinity } = schema;
  if (typeof value === 'number') return value < minimum || value > maximum ? [`${place}: out of range: ${value}`] : [];
  if (typeof value !== 'string') return [];
  if (value.length < minLength || value.length > maxLength) return [`${place}: ${value.length} characters`];
  return pattern === undefined || new RegExp(pattern, 'u').test(value) ? [] : [`${place}: does not match ${pattern}`];
}
