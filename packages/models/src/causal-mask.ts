import type { Graph, Tensor } from '@dd2/autodiff';

/** Added to a score that must not count: exp of it is exactly 0 in float32. */
export const masked = -1e9;

const masks = new WeakMap<Graph, Map<number, Tensor>>();

/** Additive attention mask [positions, positions]: 0 where a query (row) may look, -1e9 at later positions. One constant per graph and size. */
export function causalMask(graph: Graph, positions: number): Tensor {
  const ofGraph = masks.get(graph) ?? new Map<number, Tensor>();
  masks.set(graph, ofGraph);
  const known = ofGraph.get(positions);
  if (known) return known;
  const values = new Float32Array(positions * positions).fill(masked);
  for (let query = 0; query < positions; query++) values.fill(0, query * positions, query * positions + query + 1);
  const mask = graph.constant(values, [positions, positions]);
  ofGraph.set(positions, mask);
  return mask;
}
