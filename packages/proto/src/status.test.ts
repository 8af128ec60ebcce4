import { Dd2Error, errorCodes, type ErrorCode } from '@dd2/core';
import { Metadata, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { fromErrorDetail, fromStatus, toErrorDetail, toStatus } from './status.js';

const codes = Object.keys(errorCodes) as ErrorCode[];
const same = (error: Dd2Error): object => ({ code: error.code, message: error.message, field: error.field, remedy: error.remedy });

describe('errors on the wire', () => {
  it.each(codes)('%s survives as a status and as a message', (code) => {
    const errors = [
      new Dd2Error(code, 'plain'),
      new Dd2Error(code, 'the value is 5 % off', { field: 'phases.distill.ema', remedy: 'Take 0.99' }),
      new Dd2Error(code, 'Größe ☃', { field: 'modèle', remedy: 'Mehr 😀' }),
      new Dd2Error(code, 'only a remedy', { remedy: 'Try again' }),
    ];
    for (const error of errors) {
      const sent = toStatus(error);
      expect(sent.code).toBe(errorCodes[code].grpc);
      expect(same(fromStatus(sent))).toEqual(same(error));
      expect(same(fromErrorDetail(toErrorDetail(error)))).toEqual(same(error));
    }
  });

  it('keeps the cause and passes typed errors through', () => {
    const sent = toStatus(new Dd2Error('NON_FINITE', 'x'));
    expect(fromStatus(sent).cause).toBe(sent);
    const error = new Dd2Error('PROTOCOL', 'y');
    expect(fromStatus(error)).toBe(error);
  });

  it.each([
    [status.UNAVAILABLE, 'UNAVAILABLE'],
    [status.DEADLINE_EXCEEDED, 'UNAVAILABLE'],
    [status.CANCELLED, 'CANCELLED'],
    [status.RESOURCE_EXHAUSTED, 'PROTOCOL'],
    [status.UNIMPLEMENTED, 'PROTOCOL'],
    [status.INVALID_ARGUMENT, 'INVALID_ARGUMENT'],
    [status.UNKNOWN, 'INTERNAL'],
    [99, 'INTERNAL'],
  ])('a status %i of somebody else means %s', (code, expected) => {
    expect(fromStatus({ code, details: 'why', metadata: new Metadata() })).toMatchObject({ code: expected, message: 'why' });
  });

  it('does not trust the code of a status', () => {
    for (const forged of ['toString', '__proto__', 'NO_SUCH_CODE']) {
      const metadata = new Metadata();
      metadata.set('dd2-code', forged);
      expect(fromStatus({ code: status.UNAVAILABLE, details: 'x', metadata }).code).toBe('UNAVAILABLE');
    }
  });

  it('turns anything thrown into INTERNAL', () => {
    expect(fromStatus(new RangeError('odd'))).toMatchObject({ code: 'INTERNAL', message: 'odd' });
    expect(toStatus('text')).toMatchObject({ code: status.INTERNAL, details: 'text' });
  });

  it('sends only as much text as a header block can carry, and only valid Unicode', () => {
    const sent = toStatus(new Dd2Error('INTERNAL', 'x'.repeat(4_095) + '😀😀', { field: 'f'.repeat(9_999) }));
    expect(sent.details.length).toBeLessThanOrEqual(4_096);
    expect(() => encodeURI(sent.details)).not.toThrow();
  });
});
