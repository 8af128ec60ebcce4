import { expect, it } from 'vitest';
import { placesOf } from './axis-places.js';
import { fidCsv } from './fid-csv.js';
import { pointAt } from './testing.js';

const places = () => placesOf([{ update: 100, generatorUpdates: 25, samples: 12_800, wallSeconds: 60.5 }]);

it('writes a header and a line for each measurement', () => {
  const [header, first, second, end, ...rest] = fidCsv([pointAt(100, { fid: 10, standardError: 0.5 }), pointAt(200, { accuracy: undefined })], places).split('\r\n');
  expect(header?.split(',').slice(0, 9)).toEqual(['run', 'evaluation', 'kind', 'sampler', 'update', 'generator_updates', 'samples_seen', 'wall_seconds', 'fid']);
  expect(first).toBe('a,100,periodic,one-step,100,25,12800,60.5,10,0.5,9.02,10.98,2000,0.9,123,f,r');
  expect(second).toBe('a,200,periodic,one-step,200,50,,,10,,,,2000,,123,f,r');
  expect([end, ...rest]).toEqual(['']);
  expect(header?.split(',')).toHaveLength(first?.split(',').length ?? 0);
});

it('quotes text, and leaves no formula to a spreadsheet', () => {
  const line = fidCsv([pointAt(1, { runId: 'a,"b"', sampler: '=HYPERLINK("x")' })], places).split('\r\n')[1];
  expect(line).toMatch(/^"a,""b""",1,periodic,"'=HYPERLINK\(""x""\)",1,/);
});
