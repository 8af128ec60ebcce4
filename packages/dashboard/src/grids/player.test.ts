import { expect, it } from 'vitest';
import { Player } from './player.js';

function playing(count: number, start: number, isMotionReduced = false) {
  let current = start;
  let waiting: { run: () => void; delayMs: number } | undefined;
  const shown: number[] = [];
  const player = new Player(
    { count: () => count, current: () => current, show: (index) => shown.push((current = index)) },
    {
      setTimer: (run, delayMs) => {
        waiting = { run, delayMs };
        return () => (waiting = undefined);
      },
      isMotionReduced: () => isMotionReduced,
    },
  );
  const pass = (): number | undefined => {
    const { run, delayMs } = waiting ?? {};
    waiting = undefined;
    run?.();
    return delayMs;
  };
  return { player, shown, pass };
}

it('moves to the last step and stops there', () => {
  const { player, shown, pass } = playing(4, 1);
  player.toggle();
  expect(player.isPlaying.value).toBe(true);
  expect(pass()).toBe(500);
  expect(pass()).toBe(500);
  expect(shown).toEqual([2, 3]);
  expect(player.isPlaying.value).toBe(false);
  expect(pass()).toBeUndefined();
});

it('begins with the first step when it stands at the last', () => {
  const { player, shown, pass } = playing(3, 2);
  player.play();
  pass();
  expect(shown).toEqual([0, 1]);
});

it('stops at once, and follows the speed', () => {
  const { player, shown, pass } = playing(9, 0);
  player.speed.value = 8;
  player.play();
  expect(pass()).toBe(125);
  player.toggle();
  expect(pass()).toBeUndefined();
  expect(shown).toEqual([1]);
});

it('makes at most a step a second when motion is reduced', () => {
  const { player, pass } = playing(9, 0, true);
  player.speed.value = 8;
  player.play();
  expect(pass()).toBe(1000);
});

it('has nothing to play with a single step', () => {
  const { player } = playing(1, 0);
  player.play();
  expect(player.isPlaying.value).toBe(false);
});
