import { Dd2Error } from '@dd2/core';
import { fromJson, ScalarType, type DescField, type DescMessage, type JsonValue, type Message } from '@dd2/proto/json';

/**
 * The request of a method, from the fields in the path and those in the query or the body. Nothing is guessed: a field that
 * the method does not have is refused.
 * @param rest the decoded body, or the query, whose values are texts
 * @throws {Dd2Error} INVALID_ARGUMENT naming the field
 */
export function requestMessage(desc: DescMessage, inPath: Readonly<Record<string, string>>, rest: unknown, from: 'query' | 'body'): Message {
  if (typeof rest !== 'object' || rest === null || Array.isArray(rest)) {
    throw new Dd2Error('INVALID_ARGUMENT', 'the body is no JSON object', { remedy: 'Send the fields of the request as {"field": value}' });
  }
  const json: Record<string, JsonValue> = {};
  for (const [name, value] of Object.entries(rest as Record<string, JsonValue>)) {
    const field = desc.fields.find(({ jsonName, name: protoName }) => name === jsonName || name === protoName);
    if (!field) {
      const known = desc.fields.map(({ jsonName }) => jsonName).filter((jsonName) => !(jsonName in inPath));
      throw new Dd2Error('INVALID_ARGUMENT', `there is no such field in the ${from}`, { field: name, remedy: known.length === 0 ? 'There are none' : `There are ${known.join(', ')}` });
    }
    if (field.jsonName in inPath) throw new Dd2Error('INVALID_ARGUMENT', 'this field stands in the path', { field: name, remedy: `Leave it out of the ${from}` });
    if (field.jsonName in json) throw new Dd2Error('INVALID_ARGUMENT', 'this field was given more than once', { field: name, remedy: 'Give it once' });
    json[field.jsonName] = from === 'query' ? fromQuery(field, value) : value;
  }
  try {
    return fromJson(desc, { ...json, ...inPath });
  } catch (cause) {
    throw new Dd2Error('INVALID_ARGUMENT', 'the value does not fit the field', { field: unfitField(desc, json), remedy: 'The document at /api/v1/openapi.json says what fits', cause });
  }
}

/** A query has texts only, and a list of one value looks like a value. */
function fromQuery({ fieldKind, scalar }: DescField, value: JsonValue): JsonValue {
  if (fieldKind === 'list') return Array.isArray(value) ? value : [value];
  if (fieldKind === 'scalar' && scalar === ScalarType.BOOL) return value === 'true' ? true : value === 'false' ? false : value;
  return value;
}

/** The field that cannot be decoded: decoded alone it fails too. */
function unfitField(desc: DescMessage, json: Readonly<Record<string, JsonValue>>): string | undefined {
  return Object.entries(json).find(([name, value]) => {
    try {
      fromJson(desc, { [name]: value });
      return false;
    } catch {
      return true;
    }
  })?.[0];
}
