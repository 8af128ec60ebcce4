import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CheckpointFileSchema, CheckpointSchema, CheckpointVerdictSchema, EvaluationSchema, FidPointSchema, RunEventSchema, RunSchema, WorkerLeaseSchema, WorkerSchema } from '@dd2/proto';
import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { describeExitCodes, exitCodes } from '../exit-codes.js';
import { createProgram } from '../program.js';
import { MARKER, renderReference } from './render-reference.js';

let text = '';
let byHand = '';
beforeAll(async () => {
  text = await readFile(path.resolve(import.meta.dirname, '../../../../docs/cli.md'), 'utf8');
  [byHand = ''] = text.split(MARKER);
});

const withSubcommands = (command: Command): Command[] => [command, ...command.commands.flatMap(withSubcommands)];
const nameOf = (command: Command): string => (command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name());

describe('docs/cli.md', () => {
  it('is what the program says: `node packages/cli/dist/reference/write-reference.js` writes it', () => {
    expect(text.slice(text.indexOf(MARKER) + MARKER.length).trim()).toBe(renderReference(createProgram()).trim());
  });

  it('has every command and option', () => {
    for (const command of withSubcommands(createProgram())) {
      expect(text).toMatch(new RegExp(`^#+ ${nameOf(command)}$`, 'm'));
      for (const { hidden, flags } of command.options) if (!hidden) expect(text).toContain(`\`${flags}\``);
    }
  });

  it('describes every exit code and the errors that it stands for', () => {
    for (const [code, meaning] of Object.entries(exitCodes)) expect(byHand).toContain(`| ${code} | ${meaning} |`);
    for (const [code] of describeExitCodes().matchAll(/\b[A-Z]+(?:_[A-Z]+)*\b(?=[,\n]|$)/g)) if (code.includes('_')) expect(byHand).toContain(code);
  });

  it('names every field of the JSON', () => {
    const schemas = [RunSchema, FidPointSchema, RunEventSchema, EvaluationSchema, CheckpointSchema, CheckpointFileSchema, CheckpointVerdictSchema, WorkerSchema, WorkerLeaseSchema];
    for (const { fields, typeName } of schemas) for (const { localName } of fields) expect(byHand, `${typeName}.${localName}`).toContain(`\`${localName}\``);
    for (const command of withSubcommands(createProgram())) if (command.options.some(({ flags }) => flags === '--json')) expect(byHand, 'what --json prints').toContain(`\`${nameOf(command)}\``);
  });
});
