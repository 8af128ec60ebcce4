import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';
import type { MessageInitShape } from '@dd2/proto';
import { create, toJson, type DescMessage, type JsonValue } from '@dd2/proto/json';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { preparedJsonOf } from './prepared-json.js';

const compress = promisify(gzip);
const decompress = promisify(gunzip);
/** smaller answers fit into a packet or two anyway */
const COMPRESS_FROM_BYTES = 1_024;
const CHEAP = { level: constants.Z_BEST_SPEED };

/** The JSON form of an answer: every field that has a default is written out, those that may be absent are. */
export function jsonValueOf(desc: DescMessage, answer: object): JsonValue {
  return toJson(desc, create(desc, answer as MessageInitShape<DescMessage>), { alwaysEmitImplicit: true });
}

export function jsonOf(desc: DescMessage, answer: object): string {
  return JSON.stringify(jsonValueOf(desc, answer));
}

/** Sends a method's answer as JSON, compressed when that pays off and the client takes it. */
export async function sendMessage(request: FastifyRequest, reply: FastifyReply, desc: DescMessage, answer: object): Promise<FastifyReply> {
  const prepared = preparedJsonOf(answer);
  if (!prepared) return sendJson(request, reply, jsonOf(desc, answer));
  const { bytes, encoding } = prepared;
  if (encoding === undefined) return sendJson(request, reply, bytes);
  return takesGzip(request) ? sendBytes(reply, bytes, true) : sendBytes(reply, await decompress(bytes), false);
}

/** Sends JSON that is text already. */
export async function sendJson(request: FastifyRequest, reply: FastifyReply, json: string | Uint8Array): Promise<FastifyReply> {
  const bytes = typeof json === 'string' ? Buffer.from(json) : json;
  const small = bytes.byteLength < COMPRESS_FROM_BYTES || !takesGzip(request);
  return small ? sendBytes(reply, bytes, false) : sendBytes(reply, await compress(bytes, CHEAP), true);
}

function sendBytes(reply: FastifyReply, bytes: Uint8Array, compressed: boolean): FastifyReply {
  if (compressed) reply.header('content-encoding', 'gzip');
  return reply.headers({ 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store', vary: 'accept-encoding' }).send(bytes);
}

/** Whether `gzip` is among the accepted encodings and not refused with `q=0`. */
function takesGzip({ headers }: FastifyRequest): boolean {
  const accepted = headers['accept-encoding'];
  const text = Array.isArray(accepted) ? accepted.join(',') : (accepted ?? '');
  return text.split(',').some((entry) => /^\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(entry));
}
