import type { VNode } from 'preact';
import { Button } from '../ui/button.js';
import { Checkbox, Select, Slider } from '../ui/field.js';
import './charts.css';
import { axes, axisLabels, type Axis } from './axis.js';
import { factorAt, factorText, positionOf } from './smoothing-scale.js';
import { axisParam, logXParam, logYParam, setAxis, setZoom, smoothParam, zoom } from './chart-params.js';

const axisOptions = axes.map((axis): { value: Axis; label: string } => ({ value: axis, label: axisLabels[axis] }));

/** What all charts of a view share. Smoothing moves evenly in the number of values that an average remembers. */
export function ChartControls(): VNode {
  const factor = smoothParam.value;
  return (
    <div class="chart-controls" role="group" aria-label="Charts">
      <Select label="Over" value={axisParam.value} options={axisOptions} onChange={setAxis} />
      <Slider label="Smoothing" value={positionOf(factor)} min={0} max={100} onInput={(position) => (smoothParam.value = factorAt(position))} valueText={factorText(factor)} />
      <Checkbox label="Logarithmic x" checked={logXParam.value} onChange={(checked) => (logXParam.value = checked)} />
      <Checkbox label="Logarithmic y" checked={logYParam.value} onChange={(checked) => (logYParam.value = checked)} />
      <Button icon="reset" onClick={() => setZoom(undefined)} disabled={!zoom.value}>
        Reset zoom
      </Button>
    </div>
  );
}
