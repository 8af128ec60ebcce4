import headless from '@xterm/headless';
import { describe, expect, it } from 'vitest';
import { LiveOutput } from './live-output.js';

const recorder = (isTTY: boolean) => {
  let text = '';
  let now = 0;
  const output = new LiveOutput({ isTTY, columns: 20, write: (part) => (text += part) }, () => now);
  return { output, text: () => text, wait: (ms: number) => (now += ms) };
};

describe('LiveOutput', () => {
  it('replaces the status line below the lines that stay', () => {
    const { output, text } = recorder(true);
    output.status('one');
    output.line('stays');
    output.status('two');
    output.clear();
    expect(text()).toBe('one\r\x1b[2Kstays\none\r\x1b[2Ktwo\r\x1b[2K');
  });

  it('cuts a status that would wrap', () => {
    const { output, text } = recorder(true);
    output.status('x'.repeat(50));
    expect(text()).toBe(`${'x'.repeat(18)}…`);
  });

  it('prints the first line of a status every few seconds where there is no terminal', () => {
    const { output, text, wait } = recorder(false);
    output.status('one\nmore');
    wait(4_000);
    output.status('two');
    wait(1_000);
    output.status('three');
    output.clear();
    expect(text()).toBe('one\nthree\n');
  });
});

/** What a terminal shows, by a terminal emulator. */
class Emulator {
  readonly #terminal: headless.Terminal;
  readonly isTTY = true;
  writes = 0;

  constructor(columns: number, rows: number) {
    this.#terminal = new headless.Terminal({ cols: columns, rows, allowProposedApi: true, convertEol: true });
  }

  get columns(): number {
    return this.#terminal.cols;
  }

  get rows(): number {
    return this.#terminal.rows;
  }

  write(text: string): void {
    this.writes += 1;
    this.#terminal.write(text);
  }

  /** Everything up to the cursor, what has scrolled away included. */
  async lines(): Promise<string[]> {
    await this.#settled();
    const { active } = this.#terminal.buffer;
    const all = Array.from({ length: active.baseY + active.cursorY + 1 }, (_, i) => active.getLine(i)?.translateToString(true) ?? '');
    return all.at(-1) === '' ? all.slice(0, -1) : all;
  }

  async resize(columns: number): Promise<void> {
    await this.#settled();
    this.#terminal.resize(columns, this.rows);
  }

  #settled(): Promise<void> {
    return new Promise((resolve) => this.#terminal.write('', resolve));
  }
}

describe('a status of several lines on a terminal', () => {
  it('is redrawn in place, in one write, below lines that stay', async () => {
    const terminal = new Emulator(40, 10);
    const output = new LiveOutput(terminal);
    output.line('first');
    output.status('a 1\nb 1\nc 1');
    output.line('second');
    const before = terminal.writes;
    output.status('a 2\nb 2');
    expect(terminal.writes).toBe(before + 1);
    expect(await terminal.lines()).toEqual(['first', 'second', 'a 2', 'b 2']);
    output.clear();
    expect(await terminal.lines()).toEqual(['first', 'second']);
  });

  it('leaves nothing behind when it scrolls', async () => {
    const terminal = new Emulator(40, 6);
    const output = new LiveOutput(terminal);
    for (let i = 0; i < 20; i++) {
      output.status(`status ${i}\n${'.'.repeat(i)}\nend`);
      output.line(`line ${i}`);
    }
    output.clear();
    expect(await terminal.lines()).toEqual(Array.from({ length: 20 }, (_, i) => `line ${i}`));
  });

  it('is cut to the screen, so that it can be erased', async () => {
    const terminal = new Emulator(30, 5);
    const output = new LiveOutput(terminal);
    output.line('stays');
    output.status(Array.from({ length: 12 }, (_, i) => `\u001b[36m${'x'.repeat(50)}\u001b[39m ${i}`).join('\n'));
    expect(await terminal.lines()).toEqual(['stays', ...Array.from({ length: 4 }, () => `${'x'.repeat(28)}…`)]);
    output.clear();
    expect(await terminal.lines()).toEqual(['stays']);
  });

  it('is erased whole after the terminal became narrower', async () => {
    const terminal = new Emulator(60, 20);
    const output = new LiveOutput(terminal);
    output.line('stays');
    output.status(`${'a'.repeat(55)}\n${'b'.repeat(45)}`);
    await terminal.resize(30);
    output.status('new');
    expect(await terminal.lines()).toEqual(['stays', 'new']);
  });
});
