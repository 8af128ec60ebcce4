import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

const TYPE_A = 1;
const CLASS_INTERNET = 1;
const NAME_ERROR = 3;
/** bytes of the header */
const HEADER = 12;

/** What a name is: its IPv4 addresses (none: the name exists, without one), or undefined for a name that does not exist. */
export type Resolve = (name: string) => readonly string[] | undefined;

/** Answers questions for IPv4 addresses over UDP; a known name has no records of other types. Answers are not to be kept (TTL 0). */
export class DnsServer {
  private constructor(readonly socket: Socket) {}

  /** @param address of this machine, port 53 */
  static async listen(address: string, resolve: Resolve): Promise<DnsServer> {
    const socket = createSocket('udp4');
    socket.on('message', (query, from) => {
      const reply = answer(query, resolve);
      if (reply) socket.send(reply, from.port, from.address);
    });
    socket.bind(53, address);
    await once(socket, 'listening');
    return new DnsServer(socket);
  }

  async close(): Promise<void> {
    const closed = once(this.socket, 'close');
    this.socket.close();
    await closed;
  }
}

/** The reply to a query of one question (RFC 1035, 4.1); undefined for what is no such query. */
export function answer(query: Buffer, resolve: Resolve): Buffer | undefined {
  if (query.length < HEADER + 5 || query.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = HEADER;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
    if (at + 5 > query.length) return undefined;
  }
  const question = query.subarray(HEADER, at + 5);
  const addresses = resolve(labels.join('.').toLowerCase());
  const asked = query.readUInt16BE(at + 1) === TYPE_A ? (addresses ?? []) : [];
  const header = Buffer.alloc(HEADER);
  query.copy(header, 0, 0, 2);
  // a response, authoritative; "recursion desired" as in the query
  header.writeUInt16BE(0x8400 | (query.readUInt16BE(2) & 0x0100) | (addresses ? 0 : NAME_ERROR), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(asked.length, 6);
  const records = asked.map((address) => {
    const record = Buffer.alloc(16);
    record.writeUInt16BE(0xc000 | HEADER, 0); // the name of the question
    record.writeUInt16BE(TYPE_A, 2);
    record.writeUInt16BE(CLASS_INTERNET, 4);
    record.writeUInt16BE(4, 10);
    address.split('.').forEach((part, index) => record.writeUInt8(Number(part), 12 + index));
    return record;
  });
  return Buffer.concat([header, question, ...records]);
}
