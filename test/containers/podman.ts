import { execFile, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import { root } from '../support/processes.js';

const engine = z.object({ name: z.literal('podman'), env: z.record(z.string(), z.string()) });

let environment: NodeJS.ProcessEnv | undefined;

/** podman is used here as for building the images: what it needs on this machine is in the environment. */
function podmanEnvironment(): NodeJS.ProcessEnv {
  environment ??= { ...process.env, ...engine.parse(JSON.parse(execFileSync(process.execPath, [join(root, 'infra/docker/engine.mjs'), 'podman'], { encoding: 'utf8' }))).env };
  return environment;
}

/** What a program printed, and how it ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever its exit code. */
export function run(program: string, args: readonly string[], options: { readonly timeoutMs?: number; readonly input?: string } = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], { maxBuffer: 256 << 20, timeout: options.timeoutMs ?? 0, env: podmanEnvironment() }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(new Error(`${program} ${args.join(' ')}: ${error.message}`, { cause: error }));
      else resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
    if (options.input !== undefined) child.stdin?.end(options.input);
  });
}

/** Runs a program that has to succeed. Returns what it printed. */
export async function must(program: string, args: readonly string[], options: { readonly timeoutMs?: number; readonly input?: string } = {}): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

/** Runs podman, which has to succeed. Returns what it printed. */
export const podman = (...args: string[]): Promise<string> => must('podman', args);

/** Resolves with its exit code when a container has ended. */
export async function containerExit(id: string): Promise<number> {
  const child = spawn('podman', ['wait', id], { env: podmanEnvironment(), stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  return z.coerce.number().int().parse(text.trim());
}

const inspected = z.tuple([
  z.looseObject({
    Id: z.string(),
    Config: z.looseObject({ Env: z.array(z.string()), User: z.string() }),
    NetworkSettings: z.looseObject({ SandboxKey: z.string() }),
    State: z.looseObject({ Running: z.boolean(), ExitCode: z.int(), OOMKilled: z.boolean(), Pid: z.int() }),
  }),
]);

/** What podman knows of a container. */
export async function inspectContainer(id: string): Promise<z.infer<typeof inspected>[0]> {
  return inspected.parse(JSON.parse(await podman('container', 'inspect', id)))[0];
}

const inspectedImage = z.tuple([
  z.looseObject({ Id: z.string(), Config: z.looseObject({ User: z.string().default(''), Env: z.array(z.string()).default([]), Entrypoint: z.array(z.string()).nullish() }) }),
]);

/** What podman knows of an image. */
export async function inspectImage(name: string): Promise<z.infer<typeof inspectedImage>[0]> {
  return inspectedImage.parse(JSON.parse(await podman('image', 'inspect', name)))[0];
}
