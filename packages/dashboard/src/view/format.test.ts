import { describe, expect, it } from 'vitest';
import { formatAgo, formatBytes, formatCount, formatCycle, formatCyclePosition, formatDuration, formatFid, formatRate, formatShare } from './format.js';

describe('numbers', () => {
  it('groups digits', () => {
    expect([formatCount(0), formatCount(999), formatCount(1000), formatCount('18446744073709551615'), formatCount(-12345), formatCount(1234567.8912)]).toEqual(['0', '999', '1,000', '18,446,744,073,709,551,615', '-12,345', '1,234,567.8912']);
  });
  it('writes durations', () => {
    expect([0, 59.6, 200, 7500, 49 * 3600, Infinity, -3].map(formatDuration)).toEqual(['0 s', '1 min 00 s', '3 min 20 s', '2 h 05 min', '2 d 01 h', '-', '0 s']);
  });
  it('writes FIDs, and a dash for what is none', () => {
    expect([formatFid(7.4349), formatFid(424.149), formatFid(12345.6), formatFid(undefined), formatFid('NaN'), formatFid('Infinity')]).toEqual(['7.43', '424.15', '12,346', '-', '-', '-']);
  });
  it('writes rates, sizes and shares', () => {
    expect([0, 0.0421, 3.14, 1234].map((rate) => formatRate(rate))).toEqual(['0/s', '0.042/s', '3.1/s', '1,234/s']);
    expect(formatRate(4.83, 'updates')).toBe('4.8 updates/s');
    expect([formatBytes(999), formatBytes('13400000'), formatBytes(2.5e12)]).toEqual(['999 B', '13.4 MB', '2.5 TB']);
    expect([0, 0.754, 1.2, NaN].map(formatShare)).toEqual(['0%', '75%', '100%', '-']);
  });
  it('says how long ago', () => {
    const now = Date.parse('2026-01-02T00:00:00Z');
    expect(['2026-01-01T23:59:59.500Z', '2026-01-01T23:59:48Z', '2026-01-01T23:55:00Z', '2026-01-01T20:00:00Z', '2025-12-30T00:00:00Z', '2026-01-02T00:00:05Z', '', undefined].map((at) => formatAgo(at, now))).toEqual([
      'just now', '12 s ago', '5 min ago', '4 h ago', '3 d ago', 'just now', '-', '-',
    ]);
  });
});

describe('the cycle in full', () => {
  const at = (cyclePosition: number, cycleGuidance = 5, cycleLength = 6): string => formatCyclePosition({ phase: 'distill', network: 'guidance', cyclePosition, cycleLength, cycleGuidance });
  it('says where it stands and what comes', () => {
    expect([at(0), at(4), at(5)]).toEqual(['guidance 1/5, then 1 x generator', 'guidance 5/5, then 1 x generator', 'after 5 x guidance, generator 1/1']);
    expect(at(1, 0, 2)).toBe('generator 2/2');
    expect(at(1, 3, 3)).toBe('guidance 2/3');
    expect(at(0, 0, 0)).toBe('guidance');
  });
  it('declares it', () => {
    expect(formatCycle({ cycleLength: 6, cycleGuidance: 5 })).toBe('5 x guidance then 1 x generator');
    expect(formatCycle({ cycleLength: 2, cycleGuidance: 0 })).toBe('2 x generator');
  });
});
