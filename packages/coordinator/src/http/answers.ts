import type { OutgoingHttpHeaders } from 'node:http';
import { Dd2Error } from '@dd2/core';
import type { ExportRunResponse, GetRunRequest, MessageWritable } from '@dd2/proto';
import type { FastifyReply } from 'fastify';
import type { RunManager } from '../run-manager.js';
import { answerOf, streamTo, type Call, type RunHandlers } from './call.js';
import { eventFrame, type EventStream } from './event-stream.js';
import type { EventStreams } from './event-streams.js';
import { httpError } from './http-error.js';
import { jsonValueOf, sendMessage } from './json-answer.js';
import { MessageWriter } from './message-writer.js';
import { jsonContext } from './prepared-json.js';
import type { RecentAnswers } from './recent-answers.js';

/** Answers with one message, as JSON. */
export async function answerJson(handlers: RunHandlers, call: Call): Promise<FastifyReply> {
  return sendMessage(call.request, call.reply, call.method.output, await answerOf(handlers, call));
}

/** The same about a run, with the answer that somebody else has just got. @throws {Dd2Error} RUN_NOT_FOUND */
export async function answerSharedJson(handlers: RunHandlers, call: Call, shareMs: number, { recent, runs }: { readonly recent: RecentAnswers; readonly runs: Pick<RunManager, 'find'> }): Promise<FastifyReply> {
  const { message, request, reply, method } = call;
  // Whoever hears that a run has ended asks once more, and for the last time.
  const { state } = runs.find((message as GetRunRequest).runId);
  return sendMessage(request, reply, method.output, await recent.get(`${state} ${request.url}`, shareMs, () => answerOf(handlers, forAll(call))));
}

/** The call whose answer several wait for: it goes on when one of them leaves. */
function forAll(call: Call): Call {
  return { ...call, context: jsonContext({ ...call.context, signal: new AbortController().signal }) };
}

/** Answers with an image. What an evaluation made never changes. */
export async function answerImage(handlers: RunHandlers, call: Call): Promise<FastifyReply> {
  const { png } = (await answerOf(handlers, call)) as { readonly png: Uint8Array };
  return call.reply.headers({ 'content-type': 'image/png', 'cache-control': 'private, max-age=31536000, immutable' }).send(png);
}

/** Answers with each message of a streaming method as an event. Its errors are an answer with a status as long as nothing was sent. */
export async function answerEvents(handlers: RunHandlers, call: Call, streams: EventStreams): Promise<FastifyReply> {
  const { method, route: { events = [] }, reply } = call;
  streams.requirePlace();
  let stream: EventStream | undefined;
  const writer = new MessageWriter<object>((message, done) => {
    stream ??= openStream(call, streams);
    const json = jsonValueOf(method.output, message) as Readonly<Record<string, unknown>>;
    const name = events.length === 1 ? events[0] : events.find((event) => event in json);
    if (stream.send(eventFrame(name ?? 'message', JSON.stringify(json)))) done();
    else stream.onReady = done;
  }, call.context.signal);
  try {
    await streamTo(handlers, call, writer);
    await writer.finish();
    stream ??= openStream(call, streams);
    stream.end(eventFrame('end', '{}'));
  } catch (thrown) {
    if (!stream) throw thrown;
    stream.end(eventFrame('error', JSON.stringify(httpError(thrown).body)));
  }
  return reply;
}

/** Turns a request's answer into a stream of events. @throws {Dd2Error} RESOURCE_EXHAUSTED, UNAVAILABLE */
export function openStream({ reply }: Call, streams: EventStreams): EventStream {
  streams.requirePlace();
  reply.hijack();
  return streams.open(reply.raw, reply.getHeaders() as OutgoingHttpHeaders);
}

type Piece = Partial<Pick<ExportRunResponse, 'fileName' | 'totalBytes' | 'data'>>;

/** Answers with a file that a streaming method sends in pieces. One that breaks off is seen to be incomplete. */
export async function answerDownload(handlers: RunHandlers, call: Call): Promise<FastifyReply> {
  const { reply } = call;
  const { raw } = reply;
  let begun = false;
  const writer = new MessageWriter<Piece>(({ fileName = '', totalBytes = 0n, data }, done) => {
    if (!begun) {
      begun = true;
      reply.hijack();
      raw.writeHead(200, {
        ...(reply.getHeaders() as OutgoingHttpHeaders),
        'content-type': 'application/octet-stream',
        'content-disposition': `attachment; filename="${fileName.replace(/[^\w.-]/g, '_')}"`,
        'content-length': String(totalBytes),
        'cache-control': 'no-store',
      });
    }
    if (data === undefined || data.byteLength === 0 || raw.write(data)) done();
    else raw.once('drain', done);
  }, call.context.signal);
  try {
    await streamTo(handlers, call, writer satisfies MessageWritable<Piece>);
    await writer.finish();
    if (!begun) throw new Dd2Error('INTERNAL', 'the export has no content');
    raw.end();
  } catch (thrown) {
    if (!begun) throw thrown;
    raw.destroy();
  }
  return reply;
}
