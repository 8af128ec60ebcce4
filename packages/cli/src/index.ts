export { createProgram } from './program.js';
export { prepareMnist, type PrepareOptions } from './prepare/prepare-mnist.js';
