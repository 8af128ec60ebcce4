import type { Graph, Tensor } from '@dd2/autodiff';
import { Dd2Error, type ParameterLayout } from '@dd2/core';
import { layoutOf, slotOf, type NetworkDefinition, type ParameterDefinition } from './network-definition.js';

/**
 * The tensors of one network as inputs of one graph, looked up by name below a prefix. An input appears in the graph
 * when it is first asked for, so that a graph is fed nothing that it does not use.
 */
export class Parameters {
  readonly definition: NetworkDefinition;
  readonly layout: ParameterLayout;
  readonly #graph: Graph;
  readonly #prefix: string;
  readonly #used: Map<string, Tensor>;

  constructor(graph: Graph, definition: NetworkDefinition, outer?: { readonly of: Parameters; readonly prefix: string }) {
    this.definition = definition;
    this.layout = outer?.of.layout ?? layoutOf(definition);
    this.#graph = graph;
    this.#prefix = outer?.prefix ?? '';
    this.#used = outer ? outer.of.#used : new Map<string, Tensor>();
  }

  /** A view below `prefix`: `within('blocks.0').tensor('norm1.weight')` is `tensor('blocks.0.norm1.weight')`. */
  within(prefix: string): Parameters {
    return new Parameters(this.#graph, this.definition, { of: this, prefix: `${this.#prefix}${prefix}.` });
  }

  /** @throws {Dd2Error} INVALID_ARGUMENT when the network has no such tensor */
  tensor(name: string): Tensor {
    const full = `${this.#prefix}${name}`;
    const known = this.#used.get(full);
    if (known) return known;
    const { shape } = slotOf(this.layout, full);
    const tensor = this.#graph.input(`${this.definition.name}/${full}`, shape);
    this.#used.set(full, tensor);
    return tensor;
  }

  /** Full names of the tensors that the graph uses. */
  get used(): readonly string[] {
    return [...this.#used.keys()];
  }

  /** The trainable tensors in the order of the flat vector. @throws {Dd2Error} INTERNAL when the graph leaves one out */
  trainable(): { readonly definition: ParameterDefinition; readonly tensor: Tensor }[] {
    return this.definition.parameters
      .filter(({ trainable }) => trainable !== false)
      .map((definition) => {
        const tensor = this.#used.get(definition.name);
        if (tensor) return { definition, tensor };
        throw new Dd2Error('INTERNAL', `the objective does not use ${this.definition.name}/${definition.name}`, { field: definition.name });
      });
  }
}
