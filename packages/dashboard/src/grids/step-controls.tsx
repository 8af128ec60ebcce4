import type { VNode } from 'preact';
import { Button, IconButton } from '../ui/button.js';
import { Select, Slider } from '../ui/field.js';
import { speeds, type Player, type Speed } from './player.js';

export interface StepControlsProps {
  readonly count: number;
  readonly current: number;
  /** what is read out for the current step */
  readonly valueText: string;
  readonly onStep: (index: number) => void;
  readonly isFollowing: boolean;
  readonly onFollow: (follow: boolean) => void;
  readonly player: Player;
}

/** The one slider of all grids: positions are the updates that have grids, arrow keys, Home and End go through them. */
export function StepControls({ count, current, valueText, onStep, isFollowing, onFollow, player }: StepControlsProps): VNode {
  const isPlaying = player.isPlaying.value;
  return (
    <div class="step-controls">
      <div class="row">
        <IconButton label={isPlaying ? 'Pause' : 'Play the steps'} icon={isPlaying ? 'pause' : 'play'} disabled={count < 2} onClick={() => player.toggle()} />
        <IconButton label="Step before" icon="left" disabled={current <= 0} onClick={() => onStep(current - 1)} />
        <IconButton label="Step after" icon="right" disabled={current >= count - 1} onClick={() => onStep(current + 1)} />
      </div>
      <Slider class="step-slider" label="Step of the sample grids" isLabelHidden value={Math.max(0, current)} min={0} max={Math.max(0, count - 1)} disabled={count < 2} valueText={valueText} isValueHidden onInput={onStep} />
      <div class="row">
        <Select
          label="Speed of playing"
          isLabelHidden
          value={String(player.speed.value)}
          options={speeds.map((speed) => ({ value: String(speed), label: `${speed}/s` }))}
          onChange={(value) => (player.speed.value = speeds.find((speed) => String(speed) === value) ?? (2 satisfies Speed))}
        />
        <Button aria-pressed={isFollowing} title="Go to each new grid as it comes" onClick={() => onFollow(!isFollowing)}>
          Follow newest
        </Button>
      </div>
    </div>
  );
}
