import { describe, expect, it } from 'vitest';
import { isElsewhere, parseServer } from './server-address.js';

describe('the address of a coordinator', () => {
  it.each([
    ['127.0.0.1:7070', '127.0.0.1:7070', undefined],
    ['node-1:1', 'node-1:1', undefined],
    ['[::1]:65535', '[::1]:65535', undefined],
    ['https://dd2.example.org', 'dd2.example.org:7070', 'https'],
    ['https://dd2.example.org/', 'dd2.example.org:7070', 'https'],
    // As it is said, though it is the usual one of https.
    ['https://dd2.example.org:443', 'dd2.example.org:443', 'https'],
    ['HTTPS://127.0.0.1:7070', '127.0.0.1:7070', 'https'],
    ['https://[fd00::1]', '[fd00::1]:7070', 'https'],
    ['http://node-1:80', 'node-1:80', 'http'],
  ])('is read: %s', (text, address, scheme) => {
    expect(parseServer(text)).toEqual({ address, scheme });
  });

  it.each(['', 'node-1', 'node-1:', 'node-1:0', 'node-1:65536', 'node-1:7070/', ':7070', '::1:7070', '[node-1]:7070', '[]:7070', 'a b:7070', 'https://', 'https://:7070', 'https:///', 'https://host:x', 'https://host:070700', 'ftp://host:21', 'grpc://host', 'unix:///run/dd2.sock', 'dns:///host:7070'])(
    'is not read: "%s"',
    (text) => {
      expect(() => parseServer(text)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: '--server' }));
    },
  );

  it.each(['https://host/path', 'https://host:7070/?a=b', 'https://host#token=x', 'https://host?x', 'https://host//'])('has no path: %s', (text) => {
    expect(() => parseServer(text)).toThrow('more than a host and a port');
  });

  it('holds no password, and no message repeats one', () => {
    for (const text of ['https://me:hunter2@host', 'https://hunter2@host:7070/', 'me:hunter2@host:7070']) {
      expect(() => parseServer(text)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') as string, remedy: expect.stringContaining('--token-file') as string }));
    }
  });

  it('is elsewhere when a URL says it, or the host', () => {
    for (const server of ['127.0.0.1:7070', 'localhost:7070', '[::1]:7070']) expect(isElsewhere(server)).toBe(false);
    for (const server of ['https://127.0.0.1:7070', 'http://localhost', 'node-1:7070', '[fd00::1]:7070', '10.0.0.5:7070']) expect(isElsewhere(server)).toBe(true);
  });
});
