// CPU milliseconds of one forward and backward pass of a causal transformer, one thread:
//   node packages/autodiff/bench/transformer.mjs [width layers tokens batch]
// The same in PyTorch: python3 packages/autodiff/bench/transformer.py [width layers tokens batch]
import { InferenceSession, Tensor } from 'onnxruntime-node';
import * as ad from '../dist/index.js';

const [D = 128, L = 4, T = 49, B = 64] = process.argv.slice(2).map(Number);
const V = 512;
const H = D / 32;
const graph = new ad.Graph('transformer');
const feeds = {};
const parameters = [];

function parameter(name, shape) {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898) / Math.sqrt(shape.at(-1)));
  feeds[name] = new Tensor('float32', values, shape);
  const tensor = graph.input(name, shape);
  parameters.push(tensor);
  return tensor;
}

function indices(name) {
  feeds[name] = new Tensor('int64', BigInt64Array.from({ length: B * T }, (_, i) => BigInt((i * 7919) % V)), [B, T]);
  return graph.input(name, [B, T], 'int64');
}

const norm = (x, name) => ad.layerNorm(x, parameter(`${name}.weight`, [D]), parameter(`${name}.bias`, [D]));
const linear = (x, name, i, o) => ad.linear(x, parameter(`${name}.weight`, [o, i]), parameter(`${name}.bias`, [o]));
const future = Float32Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? -1e9 : 0));
const mask = graph.constant(future, [T, T]);

let x = ad.add(ad.embedding(parameter('embedding', [V, D]), indices('tokens')), parameter('position', [T, D]));
for (let l = 0; l < L; l++) {
  const qkv = ad.reshape(linear(norm(x, `${l}.norm1`), `${l}.qkv`, D, 3 * D), [B, T, 3, H, D / H]);
  const [q, k, v] = ad.split(ad.transpose(qkv, [2, 0, 3, 1, 4]), [1, 1, 1], 0).map((t) => ad.reshape(t, [B, H, T, D / H]));
  const scores = ad.add(ad.matmul(ad.mul(q, Math.sqrt(H / D)), ad.transpose(k, [0, 1, 3, 2])), mask);
  const mixed = ad.reshape(ad.transpose(ad.matmul(ad.softmax(scores), v), [0, 2, 1, 3]), [B, T, D]);
  x = ad.add(x, linear(mixed, `${l}.output`, D, D));
  x = ad.add(x, linear(ad.relu(linear(norm(x, `${l}.norm2`), `${l}.up`, D, 4 * D)), `${l}.down`, 4 * D, D));
}
const logits = linear(norm(x, 'norm'), 'head', D, V);
const loss = ad.reduceMean(ad.crossEntropy(logits, indices('targets')));
graph.output('loss', loss);
ad.gradients(loss, parameters).forEach((gradient, i) => graph.output(`gradient/${i}`, gradient));

const model = graph.toOnnx();
const profile = process.env.PROFILE ? { enableProfiling: true, profileFilePrefix: process.env.PROFILE } : {};
const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3, ...profile });
const times = [];
let last;
for (let i = 0; i < 9; i++) {
  const start = process.cpuUsage();
  last = await session.run(feeds);
  const used = process.cpuUsage(start);
  times.push((used.user + used.system) / 1000);
}
if (process.env.PROFILE) session.endProfiling();
times.sort((a, b) => a - b);
const count = parameters.reduce((sum, p) => sum + p.size, 0);
console.log(`${count} parameters, ${graph.nodes.length} nodes, loss ${last.loss.data[0]}`);
console.log(`CPU ms: minimum ${times[0].toFixed(0)}, median ${times[4].toFixed(0)}`);
