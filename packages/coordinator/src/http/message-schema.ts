import { comments, FeatureSet_FieldPresence, ScalarType, type DescEnum, type DescField, type DescMessage } from '@dd2/proto/json';

/** A JSON Schema (2020-12) that is part of an OpenAPI document. */
export type Schema = Readonly<Record<string, unknown>>;

/** What a message is sent as. Requests may leave every field out; answers hold every field that has a default. */
export type Role = 'request' | 'answer';

const TIMESTAMP = 'google.protobuf.Timestamp';

export const schemaPointer = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** The comment of the contract on something, without its name in front: `Run is one distillation.` is what people read in code. */
export function describe(fullName: string): { readonly description?: string } {
  const description = comments[fullName];
  return description === undefined ? {} : { description };
}

/** The schema of a message's JSON form. Messages and enums within it are references, added to `found`. */
export function messageSchema(desc: DescMessage, role: Role, found: Set<DescMessage | DescEnum>): Schema {
  const required = role === 'answer' ? desc.fields.filter(isAlwaysThere).map(({ jsonName }) => jsonName) : [];
  return {
    type: 'object',
    ...describe(desc.typeName),
    properties: Object.fromEntries(desc.fields.map((field) => [field.jsonName, fieldSchema(field, role, found)])),
    ...(required.length > 0 ? { required } : {}),
    ...(role === 'request' ? { additionalProperties: false } : {}),
  };
}

export function enumSchema(desc: DescEnum): Schema {
  const meanings = desc.values.map(({ name }) => `\`${name}\`: ${comments[`${desc.typeName.slice(0, desc.typeName.lastIndexOf('.'))}.${desc.name}.${name}`] ?? ''}`);
  return { type: 'string', description: [comments[desc.typeName] ?? '', ...meanings].join('\n'), enum: desc.values.map(({ name }) => name) };
}

/** The schema of one field with its description, also for a parameter. */
export function fieldSchema(field: DescField, role: Role, found: Set<DescMessage | DescEnum>): Schema {
  const schema = valueSchema(field, role, found);
  return { ...schema, ...describe(`${field.parent.typeName}.${field.name}`) };
}

function valueSchema(field: DescField, role: Role, found: Set<DescMessage | DescEnum>): Schema {
  switch (field.fieldKind) {
    case 'scalar':
      return scalarSchema(field.scalar, role);
    case 'enum':
      return referTo(field.enum, found);
    case 'message':
      return field.message.typeName === TIMESTAMP ? { type: 'string', format: 'date-time' } : referTo(field.message, found);
    case 'list':
      return { type: 'array', items: itemSchema(field, role, found) };
    case 'map':
      return { type: 'object', additionalProperties: itemSchema(field, role, found) };
  }
}

/** Of the elements of a list or the values of a map. */
function itemSchema(field: DescField, role: Role, found: Set<DescMessage | DescEnum>): Schema {
  if (field.message) return referTo(field.message, found);
  if (field.enum) return referTo(field.enum, found);
  return scalarSchema(field.scalar ?? ScalarType.STRING, role);
}

function referTo(desc: DescMessage | DescEnum, found: Set<DescMessage | DescEnum>): Schema {
  found.add(desc);
  return schemaPointer(desc.name);
}

/** JSON numbers hold no 64 bits and nothing that is not finite: ProtoJSON writes both as texts. */
function scalarSchema(scalar: ScalarType, role: Role): Schema {
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { anyOf: [{ type: 'number' }, { enum: ['NaN', 'Infinity', '-Infinity'] }] };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return wide('^-?[0-9]+$', role);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return wide('^[0-9]+$', role);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: 'integer', minimum: 0, maximum: 2 ** 32 - 1 };
    case ScalarType.BOOL:
      return { type: 'boolean' };
    case ScalarType.STRING:
      return { type: 'string' };
    case ScalarType.BYTES:
      return { type: 'string', contentEncoding: 'base64' };
  }
}

function wide(pattern: string, role: Role): Schema {
  const text = { type: 'string', pattern, description: 'A whole number of 64 bits, as text.' };
  return role === 'answer' ? text : { anyOf: [text, { type: 'integer' }] };
}

/** Fields without presence are always written; of those with it, only the ones that are set. */
function isAlwaysThere(field: DescField): boolean {
  return field.oneof === undefined && (field.fieldKind === 'list' || field.fieldKind === 'map' || field.presence === FeatureSet_FieldPresence.IMPLICIT);
}
