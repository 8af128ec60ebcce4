import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Dd2Error } from './errors.js';
import { checkRunSpec, parseRunSpec, validateRunSpec } from './run-spec.js';

const configs = new URL('../../../configs/', import.meta.url);
const names = readdirSync(configs).filter((name) => name.endsWith('.yaml'));
const read = (name: string): string => readFileSync(new URL(name, configs), 'utf8');
const mnist = readFileSync(new URL('../fixtures/spec.yaml', import.meta.url), 'utf8');

/** The error of parsing; every one must name a field and a remedy. */
function refusal(text: string, overrides: readonly string[] = []): Dd2Error {
  try {
    parseRunSpec(text, overrides);
  } catch (thrown) {
    if (!(thrown instanceof Dd2Error)) throw thrown;
    expect(thrown.code).toBe('INVALID_SPEC');
    expect(thrown.field).toBeTruthy();
    expect(thrown.remedy).toBeTruthy();
    expect(thrown.message).toBe(`${thrown.message.split(` (${thrown.field})`)[0]} (${thrown.field}). ${thrown.remedy}`);
    return thrown;
  }
  throw new Error('the spec was accepted');
}

describe('the configs', () => {
  it('exist', () => {
    expect(names).toEqual(expect.arrayContaining(['mnist.yaml', 'mnist-pure.yaml']));
  });

  it.each(names)('%s is valid, and stays the same when validated again', (name) => {
    const spec = parseRunSpec(read(name));
    expect(validateRunSpec(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
  });

  it('mnist.yaml warms up, mnist-pure.yaml does not', () => {
    expect(parseRunSpec(read('mnist.yaml')).phases.regress).toBeDefined();
    expect(parseRunSpec(read('mnist-pure.yaml')).phases.regress).toBeUndefined();
  });
});

describe('defaults', () => {
  it('fill what a spec leaves out', () => {
    const spec = parseRunSpec(mnist.replace(/^execution:.*$/m, ''), ['phases.tune.optimizer={ learningRate: 0.5 }', 'phases.tune.time={ min: 0.1 }']);
    expect(spec.execution).toEqual({ provider: 'cpu', intraOpThreads: 1 });
    expect(spec.checkpoint).toEqual({ everyUpdates: 200, keep: 3 });
    expect(spec.nonFiniteLimit).toBe(10);
    expect(spec.health).toBeUndefined();
    expect(spec.phases.tune.time).toEqual({ min: 0.1, max: 1, stratified: false });
    expect(spec.phases.tune.optimizer).toEqual({ learningRate: 0.5, betas: [0.9, 0.99], epsilon: 1e-8, weightDecay: 0, clip: 0, warmup: 0, decay: 'constant', floor: 0 });
  });
});

describe('overrides', () => {
  it('assign values before validation, later ones win', () => {
    const spec = parseRunSpec(mnist, ['seed=3', 'seed=1e3', 'phases.distill.cycle.guidance=5', 'phases.tune.optimizer.betas.0=0.5', 'evaluation.multiStep=[1, 2]', 'name=a-name']);
    expect(spec).toMatchObject({ seed: 1_000, name: 'a-name', evaluation: { multiStep: [1, 2] }, phases: { distill: { cycle: { guidance: 5, generator: 1 } } } });
    expect(spec.phases.tune.optimizer.betas).toEqual([0.5, 0.99]);
  });

  it('may hold an equals sign in the value', () => {
    expect(parseRunSpec(mnist, ['assets=a=b']).assets).toBe('a=b');
  });

  it.each([
    ['an unknown path', 'phases.distil.ema=0.9', 'phases.distil', 'unknown field "distil"'],
    ['an unknown leaf', 'phases.distill.emma=0.9', 'phases.distill.emma', 'unknown field "emma"'],
    ['a path through a value', 'name.first=a', 'name.first', 'there is no such place'],
    ['a path through a list', 'evaluation.multiStep.last=3', 'evaluation.multiStep.last', 'there is no such place'],
    ['a value that is not YAML', 'model={', 'model', 'the value is not valid YAML'],
    ['an alias to nothing', 'model=*other', 'model', 'Unresolved alias'],
    ['an empty value', 'seed=', 'seed', 'expected number, received null'],
    ['no assignment', 'seed', '--set', 'needs key.path=value'],
    ['no path', '=3', '--set', 'needs key.path=value'],
    ['a path with a gap', 'phases..ema=3', '--set', 'needs key.path=value'],
    ['the prototype', '__proto__.polluted=1', '__proto__', 'unknown field "__proto__"'],
    ['a prototype inside', 'model.__proto__.polluted=1', 'model.__proto__', 'unknown field "__proto__"'],
    ['a prototype in the value', 'model={ __proto__: { headWidth: 1, headBlocks: 1 } }', 'model.headWidth', 'received undefined'],
    ['the constructor', 'constructor.prototype.polluted=1', 'constructor', 'unknown field "constructor"'],
  ])('%s is refused', (_, override, field, problem) => {
    expect(refusal(mnist, [override])).toMatchObject({ field, message: expect.stringContaining(problem) as string });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('health', () => {
  it('is absent unless asked for, so that the identity of a spec without it stays what it was', () => {
    expect(Object.keys(parseRunSpec(mnist))).not.toContain('health');
  });

  it('has defaults for what its parts leave out; only the alarm is always there', () => {
    expect(parseRunSpec(mnist, ['health={}']).health).toEqual({ guidanceAlarm: { window: 50, factor: 4 } });
    expect(parseRunSpec(mnist, ['health.patience.evaluations=3', 'health.realign={}', 'health.guidanceAlarm.factor=2']).health).toEqual({
      guidanceAlarm: { window: 50, factor: 2 },
      patience: { evaluations: 3, minimumImprovement: 0 },
      realign: { window: 50, factor: 2, updates: 50, limit: 10 },
    });
  });

  it.each([
    ['a factor that any noise exceeds', ['health.guidanceAlarm.factor=1'], 'health.guidanceAlarm.factor', '>1'],
    ['a window that a checkpoint cannot carry', ['health.guidanceAlarm.window=1001'], 'health.guidanceAlarm.window', '<=1000'],
    ['patience without a number', ['health.patience={}'], 'health.patience.evaluations', 'received undefined'],
    ['patience for no evaluation', ['health.patience.evaluations=0'], 'health.patience.evaluations', '>=1'],
    ['an improvement below zero', ['health.patience={ evaluations: 1, minimumImprovement: -1 }'], 'health.patience.minimumImprovement', '>=0'],
    ['a re-alignment of nothing', ['health.realign.updates=0'], 'health.realign.updates', '>=1'],
    ['re-alignments without end', ['health.realign.limit=101'], 'health.realign.limit', '<=100'],
    ['a re-alignment without an alignment before it', ['health.realign={}', 'phases.distill.align=0'], 'health.realign', 'must be at least 1'],
    ['a re-alignment of what is never updated', ['health.realign={}', 'phases.distill.cycle.guidance=0'], 'health.realign', 'must be at least 1'],
    ['an unknown part', ['health.restart={}'], 'health.restart', 'unknown field "restart"'],
  ])('%s is refused', (_, overrides, field, problem) => {
    expect(refusal(mnist, overrides)).toMatchObject({ field, message: expect.stringContaining(problem) as string });
  });
});

describe('values that cannot be', () => {
  it.each([
    ['a wrong type', 'phases.tune.updates=many', 'phases.tune.updates', 'expected number, received string'],
    ['a fraction of an update', 'phases.tune.updates=1.5', 'phases.tune.updates', 'expected int'],
    ['a cycle without generator updates', 'phases.distill.cycle.generator=0', 'phases.distill.cycle.generator', '>=1'],
    ['a cycle that runs backwards', 'phases.distill.cycle.guidance=-1', 'phases.distill.cycle.guidance', '>=0'],
    ['a cycle without its generator', 'phases.distill.cycle={ guidance: 3 }', 'phases.distill.cycle.generator', 'received undefined'],
    ['an empty time range', 'phases.distill.time={ min: 0.5, max: 0.5 }', 'phases.distill.time.min', 'min must be below max'],
    ['a reversed time range', 'phases.tune.time={ min: 0.9, max: 0.5 }', 'phases.tune.time.min', 'min must be below max'],
    ['time 0, where the score is infinite', 'phases.tune.time.min=0', 'phases.tune.time.min', '>0'],
    ['a batch that micro-batches do not divide', 'phases.distill.guidance.microBatches=3', 'phases.distill.guidance.microBatches', 'multiple of microBatches'],
    ['the same in the warm start', 'phases.regress.batch=63', 'phases.regress.microBatches', 'multiple of microBatches'],
    ['the same in tuning', 'phases.tune.microBatches=128', 'phases.tune.microBatches', 'multiple of microBatches'],
    ['an unknown objective', 'phases.distill.objective.form=gan', 'phases.distill.objective.form', 'sid'],
    ['an average that never moves', 'phases.distill.ema=1', 'phases.distill.ema', '<1'],
    ['a rate that is not a number', 'phases.tune.optimizer.learningRate=.nan', 'phases.tune.optimizer.learningRate', 'expected number'],
    ['an infinite rate', 'phases.tune.optimizer.learningRate=.inf', 'phases.tune.optimizer.learningRate', 'expected number'],
    ['a third beta', 'phases.tune.optimizer.betas=[0.9, 0.99, 0.999]', 'phases.tune.optimizer.betas', '<=2 items'],
    ['a name that is no file name', 'name=../../etc', 'name', 'lower-case letters'],
    ['a seed beyond 48 bits', 'seed=281474976710657', 'seed', 'Too big'],
    ['no assets', 'assets=""', 'assets', 'Too small'],
  ])('%s', (_, override, field, problem) => {
    expect(refusal(mnist, [override])).toMatchObject({ field, message: expect.stringContaining(problem) as string });
  });

  it.each(['name', 'seed', 'assets', 'model', 'phases', 'evaluation'])('%s cannot be left out', (field) => {
    const { [field as 'name']: _, ...rest } = parseRunSpec(mnist);
    expect(() => validateRunSpec(rest)).toThrow(expect.objectContaining({ code: 'INVALID_SPEC', field }));
  });
});

describe('documents that cannot be', () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]', ...['b a', 'c b', 'd c', 'e d'].map((pair) => `${pair[0]}: &${pair[0]} [${Array<string>(9).fill(`*${pair[2]}`).join()}]`)].join('\n');
  it.each([
    ['an empty file', '', 'the whole document', 'received null'],
    ['a sentence', 'hello', 'the whole document', 'received string'],
    ['broken YAML', 'name: {', 'line 1', 'not valid YAML'],
    ['a field twice', `${mnist}\nname: other\n`, 'line', 'must be unique'],
    ['an unknown field', `${mnist}\nstudent: {}\n`, 'student', 'unknown field "student"'],
    ['two documents', `${mnist}\n---\nname: other\n`, 'line', 'multiple documents'],
    ['a huge file', `${mnist}\n#${'x'.repeat(64 * 1024)}`, 'the whole document', 'larger than'],
    ['an alias bomb', bomb, 'the whole document', 'Excessive alias count'],
    ['an alias to nothing', 'name: *other', 'the whole document', 'Unresolved alias'],
    ['nesting without end', '['.repeat(60_000), 'line 1', 'not valid YAML'],
    ['a prototype', `${mnist}\n__proto__: { polluted: 1 }\n`, '__proto__', 'unknown field "__proto__"'],
    ['a constructor', `${mnist}\nconstructor: { prototype: { polluted: 1 } }\n`, 'constructor', 'unknown field'],
    ['a key that is a list', `${mnist}\n? [a, b]\n: 1\n`, '[ a, b ]', 'unknown field'],
    ['a value of a type of its own', mnist.replace('seed: 0', 'seed: !!binary aGk='), 'seed', 'expected number'],
  ])('%s', (_, text, field, problem) => {
    const error = refusal(text);
    expect(error.field).toContain(field);
    expect(error.message).toContain(problem);
    expect(error.message).not.toContain('\n');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('any edit of a config gives a spec or a typed error', () => {
    fc.assert(
      fc.property(fc.nat(mnist.length), fc.nat(40), fc.string({ maxLength: 10 }), (at, removed, added) => {
        try {
          parseRunSpec(mnist.slice(0, at) + added + mnist.slice(at + removed));
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'INVALID_SPEC', field: expect.any(String) as string, remedy: expect.any(String) as string });
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('checkRunSpec', () => {
  it('answers the spec that parseRunSpec does', () => {
    expect(checkRunSpec(mnist, ['seed=7'])).toEqual({ spec: parseRunSpec(mnist, ['seed=7']) });
  });

  it('tells every problem, with its line', () => {
    const line = (text: string): number => mnist.split('\n').findIndex((one) => one.includes(text)) + 1;
    const wrong = mnist.replace(/^seed: .*$/m, 'seed: -1').replace(/^ {4}cycle: .*$/m, '    cycle: { guidance: 5, generators: 1 }').replace(/^ {2}samples: .*$/m, '  samples: many');
    const checked = checkRunSpec(wrong);
    const problems = 'problems' in checked ? checked.problems : [];
    expect(problems.map(({ field, line: at }) => [field, at])).toEqual([
      ['seed', line('seed:')],
      ['phases.distill.cycle.generator', line('    cycle:')],
      ['phases.distill.cycle.generators', line('    cycle:')],
      ['evaluation.samples', line('  samples:')],
    ]);
    expect(problems[1]).toMatchObject({ message: 'it is missing; expected number', remedy: 'Correct phases.distill.cycle.generator in the run spec' });
    expect(() => parseRunSpec(wrong)).toThrow(expect.objectContaining({ field: 'seed', message: expect.stringContaining(problems[0]?.message ?? 'none') as string }));
  });

  it.each([
    ['YAML that is none', 'name: x\nphases: [1', [], 'line 2', 2],
    ['an empty text', '', [], 'the whole document', 0],
    ['a list', '- 1', [], 'the whole document', 0],
    ['a text that is too large', `# ${'x'.repeat(70_000)}`, [], 'the whole document', 0],
    ['an alias of nothing', 'name: *x', [], 'the whole document', 0],
    ['an override of nothing', mnist, ['a.b'], '--set', 0],
  ])('tells what is wrong with %s', (_what, text, overrides: string[], field, line) => {
    const checked = checkRunSpec(text, overrides);
    expect('problems' in checked && checked.problems[0]).toMatchObject({ field, line });
  });

  it('has no line for what an override gave', () => {
    expect(checkRunSpec(mnist, ['model.headWidth=0', 'unknown=1'])).toMatchObject({ problems: [{ field: 'model.headWidth', line: 0 }, { field: 'unknown', line: 0 }] });
  });
});
