import { errorCodes } from '@dd2/core';
import { RunService } from '@dd2/proto';
import type { DescEnum, DescField, DescMessage, DescMethod } from '@dd2/proto/json';
import { describe, enumSchema, fieldSchema, messageSchema, schemaPointer, type Schema } from './message-schema.js';
import { API, pathFields, routes, type Route } from './routes.js';
import { SESSION_PATH } from './session-routes.js';

const JSON_TYPE = 'application/json';
const groups: Readonly<Record<string, string>> = {
  runs: 'Distillations: submitted, watched, paused, resumed, cancelled',
  metrics: 'What was measured in each update',
  evaluations: 'FID, and the images that belong to it',
  checkpoints: 'States of a run on disk, and what they are exported to',
  assets: 'Asset bundles that were pushed from other machines; pushing them is for gRPC (`dd2 assets push`)',
  cluster: 'The coordinator and its workers',
  session: 'Login of the page',
  probes: 'For Kubernetes and Prometheus',
};

/** The OpenAPI 3.1 document: everything in it follows from the table of routes and the descriptors of the contract. */
export function openApiDocument(version: string): Schema {
  const found = new Set<DescMessage | DescEnum>();
  const paths: Record<string, Record<string, Schema>> = {};
  for (const route of routes) (paths[`${API}${route.path}`] ??= {})[route.verb.toLowerCase()] = operation(route, found);
  const schemas: Record<string, Schema> = { Error: errorSchema };
  // Sets grow while they are walked: what a message refers to comes after it.
  for (const desc of found) schemas[desc.name] = desc.kind === 'enum' ? enumSchema(desc) : messageSchema(desc, 'answer', found);
  return {
    openapi: '3.1.1',
    info: {
      title: 'dd2',
      version,
      description: 'The coordinator of Distilled Decoding 2 over HTTP: RunService in its ProtoJSON form. Whole numbers of 64 bits are texts, numbers that are not finite are "NaN", "Infinity" or "-Infinity", fields that are not set are absent.',
    },
    servers: [{ url: '/', description: 'this coordinator' }],
    security: [{ token: [] }, { session: [] }],
    tags: Object.entries(groups).map(([name, description]) => ({ name, description })),
    paths: { ...paths, ...sessionPaths, ...probePaths, [`${API}/openapi.json`]: documentPath },
    components: {
      schemas,
      responses: { Error: { description: 'What is wrong and what to do about it; the status follows from the code.', content: { [JSON_TYPE]: { schema: schemaPointer('Error') } } } },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'The API token of the coordinator.' },
        session: { type: 'apiKey', in: 'cookie', name: 'dd2-session-…', description: 'The cookie of a login; its name ends with the first 8 characters of the cluster id. Requests that change something also need the header x-dd2-request: 1 and an Origin that is this server.' },
        metrics: { type: 'http', scheme: 'bearer', description: 'The metrics token, which is for /metrics alone.' },
      },
    },
  };
}

const failure = { default: { $ref: '#/components/responses/Error' } };

function operation(route: Route, found: Set<DescMessage | DescEnum>): Schema {
  const method: DescMethod = RunService.method[route.method];
  const inPath = pathFields(route);
  const rest = method.input.fields.filter(({ jsonName }) => !inPath.includes(jsonName));
  const query = route.verb === 'GET' ? rest : [];
  const comment = describe(`${RunService.typeName}.${method.name}`).description ?? method.name;
  const parameters = [
    ...method.input.fields.filter(({ jsonName }) => inPath.includes(jsonName)).map((field) => parameter(field, 'path', found)),
    ...query.map((field) => parameter(field, 'query', found)),
    ...(route.method === 'watchRun' ? [lastEventId] : []),
  ];
  return {
    operationId: route.method,
    tags: [route.group],
    summary: comment.replace(/^\w+ /, '').replace(/^./, (first) => first.toUpperCase()),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.verb === 'POST' && rest.length > 0 ? { requestBody: { required: false, content: { [JSON_TYPE]: { schema: bodySchema(method.input, inPath, found) } } } } : {}),
    responses: { 200: answer(route, method, found), ...failure },
  };
}

const lastEventId = { name: 'Last-Event-ID', in: 'header', description: 'Sent by browsers that come back: counts as `since`.', schema: { type: 'string', pattern: '^[0-9]{1,15}$' } };

function parameter(field: DescField, place: 'path' | 'query', found: Set<DescMessage | DescEnum>): Schema {
  const { description, ...schema } = fieldSchema(field, 'request', found);
  return { name: field.jsonName, in: place, ...(place === 'path' ? { required: true } : {}), ...(description === undefined ? {} : { description }), schema, ...(field.fieldKind === 'list' ? { style: 'form', explode: true } : {}) };
}

/** The request without what stands in the path. */
function bodySchema(input: DescMessage, inPath: readonly string[], found: Set<DescMessage | DescEnum>): Schema {
  const schema = messageSchema(input, 'request', found);
  const properties = Object.entries(schema['properties'] as Readonly<Record<string, Schema>>).filter(([name]) => !inPath.includes(name));
  return { ...schema, properties: Object.fromEntries(properties) };
}

function answer({ answer: kind, events = [] }: Route, { output }: DescMethod, found: Set<DescMessage | DescEnum>): Schema {
  const { description = 'The answer.' } = describe(output.typeName);
  switch (kind) {
    case 'json':
      found.add(output);
      return { description, content: { [JSON_TYPE]: { schema: schemaPointer(output.name) } } };
    case 'image':
      return { description: 'The image.', content: { 'image/png': { schema: { type: 'string', contentMediaType: 'image/png' } } } };
    case 'download':
      return { description: 'The file.', content: { 'application/octet-stream': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } } } };
    case 'events': {
      found.add(output);
      const named = events.map((event) => [event, schemaPointer(output.name)] as const);
      return {
        description: `Server-sent events: ${events.map((event) => `\`${event}\``).join(' or ')} with the message below as data, \`error\` with an error, \`end\` when nothing more comes. Comments keep the connection open.`,
        content: { 'text/event-stream': { schema: { type: 'string' }, 'x-events': Object.fromEntries([...named, ['error', schemaPointer('Error')], ['end', { type: 'object' }]]) } },
      };
    }
  }
}

const errorSchema: Schema = {
  type: 'object',
  description: "The product's typed error.",
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'field', 'remedy', 'retryable'],
      properties: {
        code: { type: 'string', enum: Object.keys(errorCodes), description: 'What is wrong, from a closed set.' },
        message: { type: 'string', description: 'The whole sentence for people: problem (field). remedy.' },
        field: { type: 'string', description: 'The offending field, empty when there is none.' },
        remedy: { type: 'string', description: 'What the reader can do about it, empty when there is nothing.' },
        retryable: { type: 'boolean', description: 'Whether trying again can help.' },
      },
    },
  },
};

const authenticated: Schema = {
  description: 'Whether requests of this browser are let in.',
  content: { [JSON_TYPE]: { schema: { type: 'object', required: ['authenticated'], properties: { authenticated: { type: 'boolean' } } } } },
};

const sessionPaths = {
  [`${API}${SESSION_PATH}`]: {
    get: { operationId: 'getSession', tags: ['session'], summary: 'Says whether there is a session.', security: [], responses: { 200: authenticated, ...failure } },
    post: {
      operationId: 'login',
      tags: ['session'],
      summary: 'Logs in with the API token, for a cookie.',
      security: [],
      requestBody: { required: true, content: { [JSON_TYPE]: { schema: { type: 'object', additionalProperties: false, required: ['token'], properties: { token: { type: 'string', minLength: 1, maxLength: 4_096 } } } } } },
      responses: { 200: authenticated, ...failure },
    },
    delete: { operationId: 'logout', tags: ['session'], summary: 'Ends the session.', security: [], responses: { 200: authenticated, ...failure } },
  },
};

const health: Schema = { type: 'object', required: ['ok', 'reasons'], properties: { ok: { type: 'boolean' }, reasons: { type: 'array', items: { type: 'string' }, description: 'Why not; empty when ok.' } } };

function probe(operationId: string, summary: string): Schema {
  const content = { [JSON_TYPE]: { schema: health } };
  return { get: { operationId, tags: ['probes'], summary, security: [], responses: { 200: { description: 'Yes.', content }, 503: { description: 'No.', content } } } };
}

const probePaths = {
  '/healthz': probe('isAlive', 'Whether the process does its work.'),
  '/readyz': probe('isReady', 'Whether workers and people can use the coordinator.'),
  '/metrics': {
    get: { operationId: 'getMetrics', tags: ['probes'], summary: 'Metrics in the text format of Prometheus.', security: [{ token: [] }, { session: [] }, { metrics: [] }], responses: { 200: { description: 'The metrics.', content: { 'text/plain': { schema: { type: 'string' } } } }, ...failure } },
  },
};

const documentPath: Schema = { get: { operationId: 'getDocument', tags: ['cluster'], summary: 'This document.', responses: { 200: { description: 'An OpenAPI document.', content: { [JSON_TYPE]: { schema: { type: 'object' } } } }, ...failure } } };
