// For programs compiled without the library that has Symbol.dispose.
/// <reference lib="esnext.disposable" preserve="true" />

import { type DlArray, isdlarray } from '../array/dlarray.js'
import { tracedCopy } from '../autodiff/dlfeval.js'
import { NetworkError } from '../errors.js'
import { copyLayer, isInputLayer, type Layer } from '../layers/layer.js'
import { type LayerArray, layerArray } from '../layers/layer-array.js'
import { type FactorKind, getFactor, learnablesOf, setFactor, stateOf } from '../layers/layer-parameters.js'
import { heldArrays, scope } from '../memory/scope.js'
import { currentStream, type RandomStream } from '../operations/arrays/random.js'
import { type ExecutionPlan, planExecution, runPlan } from './execution-plan.js'
import { type ExampleInput, type InitializeOptions, initialized } from './initialization.js'
import {
  type Connection,
  connected,
  connectionsOf,
  copyGraph,
  disconnected,
  graphInputs,
  graphOutputs,
  type LayerGraph,
  layerNamed,
  type Port,
  portName,
  portNamed,
  replaced,
  without,
  withSeries,
} from './layer-graph.js'
import { namedCopies } from './layer-names.js'
import {
  checkInUse,
  checkUse,
  type FactorArguments,
  type PredictOptions,
  parameterPath,
  runArguments,
  splitOptions,
} from './network-arguments.js'
import type { NetworkDataLayout } from './network-data-layout.js'
import { connectionTable, displayNetwork, type ParameterRow, parameterTable } from './network-display.js'
import { inputArray, type NetworkInput } from './network-input.js'
import {
  graphArrays,
  learnableList,
  type Overrides,
  type Parameter,
  parameterRows,
  parametersFrom,
  replaceLearnables,
  replaceRows,
} from './network-parameters.js'
import { RecordedPredictions } from './recorded-predictions.js'

/** How {@link DlNetwork.outputsFor} computes. */
export interface PredictionContext {
  readonly random: RandomStream
  /** Default: the network's outputs. */
  readonly outputs?: readonly string[] | undefined
}

/** How {@link DlNetwork.run} computes. */
export interface RunContext extends PredictionContext {
  readonly training: boolean
  /** In place of the network's own learnables, in the order of {@link DlNetwork.parameterList}. */
  readonly parameters?: readonly DlArray[]
  /** Called after each layer, with arrays that are freed when it returns. */
  readonly observe?: (layer: string, outputs: readonly DlArray[]) => void
}

/** What predictions and training passes that users ask for have in common. */
function context({ outputs }: PredictOptions): PredictionContext {
  return { random: currentStream(), outputs: typeof outputs === 'string' ? [outputs] : outputs }
}

/** What a network is: copies of layers, connections, and what was chosen about it. */
export interface NetworkContent {
  readonly graph: LayerGraph
  /** Undefined: every output that is connected to nothing. */
  readonly chosenOutputs: readonly Port[] | undefined
  /** What the sizes follow from, one layout for each input; undefined until the network is initialized. */
  readonly layouts: readonly NetworkDataLayout[] | undefined
}

/**
 * A network of layers, made by {@link dlnetwork}. Methods that change layers, connections or factors return another network;
 * `learnables` and `state` can be assigned.
 *
 * Source: MATLAB, `dlnetwork`.
 */
export class DlNetwork {
  /** @internal */
  readonly content: NetworkContent
  /** Arrays of `dlfeval` in place of the parameters: then the layers belong to the network that was traced. */
  readonly #traced: Overrides | undefined
  readonly #plans = new Map<string, ExecutionPlan>()
  #predictions: RecordedPredictions | undefined
  readonly #inputs: readonly Port[]
  #isDisposed = false

  get [Symbol.toStringTag](): string {
    return 'DlNetwork'
  }

  /** @internal Takes the layers as its own. */
  constructor(content: NetworkContent, traced?: Overrides) {
    this.content = content
    this.#inputs = graphInputs(content.graph)
    this.#traced = traced
  }

  get #graph(): LayerGraph {
    return this.content.graph
  }

  // --- What it is -----------------------------------------------------------------------------------------------------

  /** Copies of the layers: changing them does not change the network. */
  get layers(): LayerArray {
    this.checkInUse('dlnetwork.layers')
    return layerArray(this.#graph.layers.map(copyLayer))
  }

  /** What is connected to what; prints as a table. */
  get connections(): Connection[] {
    return connectionTable(connectionsOf(this.#graph))
  }

  /** The learnable parameters in the order of the layers; inside `dlfeval`, the traced ones. Prints as a table. */
  get learnables(): ParameterRow[] {
    return parameterTable(parameterRows(this.#graph, this.#traced, learnablesOf))
  }

  /** Replaces learnables by those listed, rows of `learnables` with other values, and frees the arrays that were there. */
  set learnables(rows: readonly ParameterRow[]) {
    this.#checkChange('learnables')
    replaceRows(this.#graph, rows, 'learnables')
  }

  /** The state parameters in the order of the layers; prints as a table. */
  get state(): ParameterRow[] {
    return parameterTable(parameterRows(this.#graph, this.#traced, stateOf))
  }

  /** Replaces state parameters by those listed, such as the `state` that `forward` returned. */
  set state(rows: readonly ParameterRow[]) {
    this.#checkChange('state')
    replaceRows(this.#graph, rows, 'state')
  }

  /** The inputs in the order in which `predict` takes them. */
  get inputNames(): string[] {
    return this.#inputs.map((port) =>
      isInputLayer(this.#graph.layers[port.layer]!)
        ? this.#graph.layers[port.layer]!.name
        : portName(this.#graph, port, 'input'),
    )
  }

  /** The outputs in the order in which `predict` returns them. */
  get outputNames(): string[] {
    return this.#outputPorts().map((port) => portName(this.#graph, port, 'output'))
  }

  /** True when sizes are known and all parameters have values. */
  get initialized(): boolean {
    return this.content.layouts !== undefined
  }

  #checkChange(call: string): void {
    if (this.#traced)
      throw new NetworkError({
        call: `dlnetwork.${call}`,
        expects: 'a network outside dlfeval',
        got: 'the traced one that dlfeval gave its function',
        remedy: 'Return the new values from the function, and assign them to the network afterwards.',
      })
  }

  // --- Computing --------------------------------------------------------------------------------------------------------

  /**
   * The outputs in prediction. Inputs are dlarrays, or plain numbers in the layout of the input layer: typed arrays and nested
   * lists h-by-w-by-c-by-N for images, N-by-c for features, T-by-c-by-N for sequences, or `{ values, size }`.
   *
   * One array; for a network with several outputs, or a list as `outputs`, a list of arrays: `predict<DlArray[]>(X)`.
   *
   * Errors: a {@link NetworkError} for a network that is not initialized, a wrong number of inputs, and inputs that do not fit
   * a layer, which it names with the format and both numbers. Source: MATLAB, `predict`.
   */
  predict(...inputs: readonly NetworkInput[]): DlArray
  predict<R extends DlArray | DlArray[] = DlArray>(...inputs: readonly (NetworkInput | PredictOptions)[]): R
  predict(...inputs: readonly (NetworkInput | PredictOptions)[]): DlArray | DlArray[] {
    const { inputs: data, options } = runArguments(inputs, 'predict')
    const results = scope(() => this.outputsFor(this.#arrays(data, 'predict'), context(options)))
    return results.length === 1 && !Array.isArray(options.outputs) ? results[0]! : results
  }

  /**
   * The outputs in training mode, always as a list, and the state after it. Inputs, options and errors as for `predict`.
   *
   * Source: MATLAB, `forward`.
   */
  forward(...inputs: readonly (NetworkInput | PredictOptions)[]): { outputs: DlArray[]; state: ParameterRow[] } {
    const { inputs: data, options } = runArguments(inputs, 'forward')
    const { outputs, state } = scope(() =>
      this.run(this.#arrays(data, 'forward'), { training: true, ...context(options) }, 'forward'),
    )
    return { outputs, state: parameterTable(state) }
  }

  #arrays(data: readonly unknown[], call: string): DlArray[] {
    this.#checkUse(call, data.length)
    return this.#inputs.map(({ layer }, i) => {
      const given = data[i]
      return isdlarray(given) ? given : inputArray(given, this.#graph.layers[layer]!, this.#type(), call)
    })
  }

  /** The class of the parameters, which plain numbers take. */
  #type(): 'single' | 'double' {
    const rows = parameterRows(this.#graph, this.#traced, learnablesOf)
    return rows.some(({ value }) => value?.underlyingType === 'double') ? 'double' : 'single'
  }

  /** Throws a {@link NetworkError} after `dispose`. */
  checkInUse(call: string): void {
    checkInUse(call, this.#isDisposed)
  }

  #checkUse(call: string, given: number): void {
    this.checkInUse(call)
    const state = { layers: this.#graph.layers.length, inputs: this.#inputs.length }
    checkUse(call, this, state, given)
  }

  /**
   * Computes outputs for arrays in the order of `inputNames`. Each layer runs in a scope of its own and an array is freed after
   * the last layer that reads it, so that only what a trace saved or what is returned lives on.
   */
  run(inputs: readonly DlArray[], context: RunContext, call = 'run'): { outputs: DlArray[]; state: ParameterRow[] } {
    this.#checkUse(call, inputs.length)
    const plan = this.#planFor(context.outputs, call)
    const parameters = context.parameters ? parametersFrom(this.#graph, context.parameters, call) : this.#traced
    return scope(() => {
      const { outputs, states } = runPlan(plan, this.#graph, inputs, { ...context, parameters })
      return { outputs, state: parameterRows(this.#graph, states, stateOf) }
    })
  }

  /** The outputs in prediction, of recorded launches where there are some for arrays like these. */
  outputsFor(inputs: readonly DlArray[], { random, outputs }: PredictionContext, call = 'predict'): DlArray[] {
    const compute = () => this.run(inputs, { training: false, random, outputs }, call).outputs
    if (this.#traced) return compute()
    this.#checkUse(call, inputs.length)
    this.#predictions ??= new RecordedPredictions(this, this.#graph.layers)
    return this.#predictions.run(inputs, outputs, random, compute)
  }

  #planFor(outputs: readonly string[] | undefined, call: string): ExecutionPlan {
    const key = outputs ? JSON.stringify(outputs) : ''
    let plan = this.#plans.get(key)
    if (!plan) {
      const ports = outputs?.map((name) => portNamed(this.#graph, name, 'output', call)) ?? this.#outputPorts()
      plan = planExecution(this.#graph, this.#inputs, ports)
      this.#plans.set(key, plan)
    }
    return plan
  }

  #outputPorts(): readonly Port[] {
    return this.content.chosenOutputs ?? graphOutputs(this.#graph)
  }

  // --- Parameters, for training -----------------------------------------------------------------------------------------

  /** The learnables with their factors, in the order of `learnables`. Throws a {@link NetworkError} before initialization. */
  parameterList(): readonly Parameter[] {
    return learnableList(this.#graph, this.#traced)
  }

  /**
   * Gives all learnables new values, in the order of `parameterList`, and frees the old ones. The network holds the memory
   * itself: the arrays given may be freed.
   */
  replaceParameters(values: readonly DlArray[]): void {
    this.#checkChange('replaceParameters')
    replaceLearnables(this.#graph, values, 'replaceParameters')
  }

  /** A network of its own with other values of the learnables, in the order of `parameterList`. */
  withParameters(values: readonly DlArray[]): DlNetwork {
    this.#checkChange('withParameters')
    const other = new DlNetwork({ ...this.content, graph: copyGraph(this.#graph) })
    replaceLearnables(other.#graph, values, 'withParameters')
    return other
  }

  /** @internal The same network over traced parameters. */
  [tracedCopy](trace: (array: DlArray) => DlArray): DlNetwork {
    this.#checkUse('dlfeval', this.#inputs.length)
    const traced = this.parameterList().map(({ value }) => trace(value))
    return new DlNetwork(this.content, parametersFrom(this.#graph, traced, 'dlfeval'))
  }

  /** @internal Everything whose memory the network needs. */
  [heldArrays](): DlArray[] {
    const own = graphArrays(this.#graph)
    return this.#traced ? [...own, ...[...this.#traced.values()].flatMap((record) => Object.values(record))] : own
  }

  /** Frees the parameters now. Without it they are freed when the network is no longer reachable. */
  dispose(): void {
    if (this.#traced) return
    this.#isDisposed = true
    this.#predictions?.dispose()
    for (const array of this[heldArrays]()) array.dispose()
  }

  declare [Symbol.dispose]: () => void

  // --- Initialization ---------------------------------------------------------------------------------------------------

  /**
   * The network with sizes inferred from its input layers and from `examples` (arrays or `networkDataLayout`s, one for each
   * input without an input layer, or one for every input), and with every parameter that is unset filled by its initializer.
   * Values that are there stay. Nothing is computed with the examples.
   *
   * Errors: a {@link NetworkError} that names the layer, the format and both numbers where layers do not fit together, an input
   * that nothing is connected to and that has no example, and parameters whose size depends on an extent that is not known.
   * Source: MATLAB, `initialize`.
   */
  initialize(...given: readonly (ExampleInput | InitializeOptions)[]): DlNetwork {
    const call = 'initialize'
    const { inputs, options } = splitOptions<InitializeOptions>(given, ['seed'], call)
    return new DlNetwork({ ...this.content, ...initialized(copyGraph(this.#graph), inputs, options.seed, call) })
  }

  // --- Changing the graph -----------------------------------------------------------------------------------------------

  /** The network with more layers, connected to one another in series and to nothing else. Source: MATLAB, `addLayers`. */
  addLayers(layers: Layer | readonly Layer[]): DlNetwork {
    const call = 'addLayers'
    const graph = copyGraph(this.#graph)
    return this.#changed(withSeries(graph, namedCopies(layers, graph.layers, call), call))
  }

  /** The network without some layers and their connections. Source: MATLAB, `removeLayers`. */
  removeLayers(...names: readonly (string | readonly string[])[]): DlNetwork {
    const { graph, numbers } = without(copyGraph(this.#graph), names.flat(), 'removeLayers')
    return this.#changed(graph, numbers)
  }

  /**
   * The network with an output connected to an input: `'relu'`, or `'cat/in2'` for a layer with several. Errors: a
   * {@link NetworkError} for names that are none, an input that is taken, and a cycle. Source: MATLAB, `connectLayers`.
   */
  connectLayers(source: string, destination: string): DlNetwork {
    return this.#changed(connected(copyGraph(this.#graph), source, destination, 'connectLayers'))
  }

  /** The network without a connection. Source: MATLAB, `disconnectLayers`. */
  disconnectLayers(source: string, destination: string): DlNetwork {
    return this.#changed(disconnected(copyGraph(this.#graph), source, destination, 'disconnectLayers'))
  }

  /** The network with a layer or a series of layers in place of a layer. Source: MATLAB, `replaceLayer`. */
  replaceLayer(name: string, layers: Layer | readonly Layer[]): DlNetwork {
    const call = 'replaceLayer'
    const copy = copyGraph(this.#graph)
    const others = copy.layers.filter((layer) => layer.name !== name)
    const { graph, numbers } = replaced(copy, name, namedCopies(layers, others, call), call)
    return this.#changed(graph, numbers)
  }

  /** Another graph is not initialized; outputs that were chosen go along with their layers. */
  #changed(graph: LayerGraph, numbers?: ReadonlyMap<number, number>): DlNetwork {
    const chosenOutputs = this.content.chosenOutputs?.flatMap(({ layer, port }) => {
      const number = numbers ? numbers.get(layer) : layer
      return number !== undefined && port < graph.layers[number]!.numOutputs ? [{ layer: number, port }] : []
    })
    return new DlNetwork({
      graph,
      chosenOutputs: chosenOutputs?.length ? chosenOutputs : undefined,
      layouts: undefined,
    })
  }

  // --- Factors ----------------------------------------------------------------------------------------------------------

  /** The factor of a parameter's learn rate: `('fc', 'Weights')` or `('fc/Weights')`. Source: MATLAB, `getLearnRateFactor`. */
  getLearnRateFactor(...where: readonly string[]): number {
    return this.#factor('learnRate', where, 'getLearnRateFactor')
  }

  /** The factor of a parameter's L2 regularization: `('fc', 'Weights')` or `('fc/Weights')`. Source: MATLAB, `getL2Factor`. */
  getL2Factor(...where: readonly string[]): number {
    return this.#factor('l2', where, 'getL2Factor')
  }

  /** The network with another factor: `('fc', 'Weights', 2)` or `('fc/Weights', 2)`. Source: MATLAB, `setLearnRateFactor`. */
  setLearnRateFactor(...given: FactorArguments): DlNetwork {
    return this.#withFactor('learnRate', given, 'setLearnRateFactor')
  }

  /** The network with another factor: `('fc', 'Weights', 0)` or `('fc/Weights', 0)`. Source: MATLAB, `setL2Factor`. */
  setL2Factor(...given: FactorArguments): DlNetwork {
    return this.#withFactor('l2', given, 'setL2Factor')
  }

  #factor(kind: FactorKind, where: readonly unknown[], call: string): number {
    const { layer, parameter } = parameterPath(where, call)
    return getFactor(this.#graph.layers[layerNamed(this.#graph, layer, call)]!, parameter, kind)
  }

  #withFactor(kind: FactorKind, given: readonly unknown[], call: string): DlNetwork {
    const { layer, parameter } = parameterPath(given.slice(0, -1), call)
    const graph = copyGraph(this.#graph)
    setFactor(graph.layers[layerNamed(graph, layer, call)]!, parameter, kind, given.at(-1) as number)
    return new DlNetwork({ ...this.content, graph })
  }

  // --- Printing -----------------------------------------------------------------------------------------------------------

  /** The object display that `console.log(net)` shows. */
  toString(): string {
    return displayNetwork(this)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

// Not every browser knows the symbol yet; where it is missing nobody can write `using`.
if (Symbol.dispose)
  DlNetwork.prototype[Symbol.dispose] = function dispose(this: DlNetwork) {
    this.dispose()
  }
