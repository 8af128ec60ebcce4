import type { Engine } from '@dd2/engine';

/** Whether the engine's thread is still there. One that has ended (out of memory, a crashed driver) refuses every call for ever. */
export async function isAlive(engine: Pick<Engine, 'unloadProgram'>): Promise<boolean> {
  return engine.unloadProgram('of no program').then(() => true, () => false);
}
