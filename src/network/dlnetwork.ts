import { DlArray, isdlarray } from '../array/dlarray.js'
import { tracedCopy } from '../autodiff/dlfeval.js'
import { DimensionError, NetworkError, OptionError } from '../errors.js'
import {
  copyLayer,
  type FactorKind,
  getFactor,
  inputInfo,
  isInputLayer,
  isLayer,
  type Layer,
  layerLabel,
  learnablesOf,
  properties,
  runLayer,
  setFactor,
  setLearnable,
  setState,
  stateOf,
} from '../layers/layer.js'
import { type LayerArray, layerArray } from '../layers/layer-array.js'
import { heldArrays, scope } from '../memory/scope.js'
import { currentStream, RandomStream } from '../operations/random.js'
import { type ExecutionPlan, planExecution } from './execution-plan.js'
import { type ExampleInput, initializeGraph } from './initialization.js'
import {
  type Connection,
  connected,
  connectionsOf,
  disconnected,
  emptyGraph,
  graphInputs,
  graphOutputs,
  type LayerGraph,
  layerNamed,
  type Port,
  portName,
  portNamed,
  quoted,
  replaced,
  without,
  withSeries,
} from './layer-graph.js'
import { layerNames } from './layer-names.js'
import type { NetworkDataLayout } from './network-data-layout.js'
import { connectionTable, displayNetwork, type ParameterRow, parameterTable } from './network-display.js'
import { inputArray, isSizedData, type NetworkInput } from './network-input.js'

export interface InitializeOptions {
  /** Seed of the initial values; default: the stream that `rng` controls goes on. */
  readonly seed?: number
}

export interface NetworkOptions extends InitializeOptions {
  /** Whether to initialize the parameters; default true, where the inputs are determined. */
  readonly initialize?: boolean
  /** Layers or layer outputs that are the network's outputs; default: those that are connected to nothing. */
  readonly outputNames?: readonly string[]
}

export interface PredictOptions {
  /** Layers or layer outputs to compute, `'relu'` or `'split/out2'`; default: the network's outputs. */
  readonly outputs?: string | readonly string[]
}

/** A learnable parameter of an initialized network, with its factors. */
export interface Parameter {
  readonly layer: string
  readonly parameter: string
  readonly value: DlArray
  readonly learnRateFactor: number
  readonly l2Factor: number
}

export interface RunContext {
  readonly training: boolean
  readonly random: RandomStream
  /** In place of the network's own learnables, in the order of {@link DlNetwork.parameterList}. */
  readonly parameters?: readonly DlArray[]
  /** Default: the network's outputs. */
  readonly outputs?: readonly string[]
  /** Called after each layer, with arrays that are freed when it returns. */
  readonly observe?: (layer: string, outputs: readonly DlArray[]) => void
}

/** What a network is: copies of layers, connections, and what was chosen about it. */
export interface NetworkContent {
  readonly graph: LayerGraph
  /** Undefined: every output that is connected to nothing. */
  readonly chosenOutputs: readonly Port[] | undefined
  /** What the sizes follow from, one layout for each input; undefined until the network is initialized. */
  readonly layouts: readonly NetworkDataLayout[] | undefined
}

/** By number of the layer, parameters that stand in for the layer's own. */
type Overrides = ReadonlyMap<number, Readonly<Record<string, DlArray>>>

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
  #isDisposed = false

  /** @internal Takes the layers as its own. */
  constructor(content: NetworkContent, traced?: Overrides) {
    this.content = content
    this.#traced = traced
  }

  get #graph(): LayerGraph {
    return this.content.graph
  }

  // --- What it is -----------------------------------------------------------------------------------------------------

  /** Copies of the layers: changing them does not change the network. */
  get layers(): LayerArray {
    return layerArray(this.#graph.layers.map(copyLayer))
  }

  /** What is connected to what; prints as a table. */
  get connections(): Connection[] {
    return connectionTable(connectionsOf(this.#graph))
  }

  /** The learnable parameters in the order of the layers; inside `dlfeval`, the traced ones. Prints as a table. */
  get learnables(): ParameterRow[] {
    return parameterTable(this.#rows((layer) => learnablesOf(layer)))
  }

  /** Replaces learnables by those listed: rows of `learnables` with other values. */
  set learnables(rows: readonly ParameterRow[]) {
    this.#replaceRows(rows, 'Learnables', this.learnables, setLearnable)
  }

  /** The state parameters in the order of the layers; prints as a table. */
  get state(): ParameterRow[] {
    return parameterTable(this.#rows((layer) => stateOf(layer)))
  }

  /** Replaces state parameters by those listed, such as the `state` that `forward` returned. */
  set state(rows: readonly ParameterRow[]) {
    this.#replaceRows(rows, 'State', this.state, setState)
  }

  /** The inputs in the order in which `predict` takes them. */
  get inputNames(): string[] {
    return graphInputs(this.#graph).map((port) =>
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

  #rows(parametersOf: (layer: Layer) => { name: string; value: DlArray | undefined }[]): ParameterRow[] {
    return this.#graph.layers.flatMap((layer, number) => {
      const traced = this.#traced?.get(number)
      return parametersOf(layer).map(({ name, value }) => ({
        layer: layer.name,
        parameter: name,
        value: traced?.[name] ?? value,
      }))
    })
  }

  #replaceRows(
    rows: readonly ParameterRow[],
    table: 'Learnables' | 'State',
    before: readonly ParameterRow[],
    set: (layer: Layer, name: string, value: DlArray) => void,
  ): void {
    const problem = (got: string) =>
      new NetworkError({
        call: `dlnetwork.${table.toLowerCase()}`,
        expects: `a list of { layer, parameter, value } like the network's own, the values dlarrays`,
        got,
        remedy: `Take ${table.toLowerCase()} of the network and replace values.`,
      })
    if (this.#traced) throw problem('a network inside dlfeval, which cannot be changed')
    if (!Array.isArray(rows)) throw problem(typeof rows)
    // All are checked before the first is replaced.
    const found = rows.map((row: ParameterRow) => {
      const old = before.find((one) => one.layer === row?.layer && one.parameter === row.parameter)
      if (!old) throw problem(`'${row?.layer}/${row?.parameter}', which the network does not have`)
      if (!isdlarray(row.value)) throw problem(`${typeof row.value} for '${row.layer}/${row.parameter}'`)
      if (old.value && old.value.numel !== row.value.numel)
        throw problem(`${row.value.numel} elements for the ${old.value.numel} of '${row.layer}/${row.parameter}'`)
      return { old, value: row.value }
    })
    for (const { old, value } of found) {
      set(this.#graph.layers[layerNamed(this.#graph, old.layer, 'dlnetwork')]!, old.parameter, value)
      if (old.value !== value) old.value?.dispose()
    }
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
  predict<R extends DlArray | DlArray[] = DlArray>(...inputs: readonly (NetworkInput | PredictOptions)[]): R {
    const { data, options } = this.#arguments(inputs, 'predict')
    const results = scope(() => this.#evaluate(data, options, 'predict', false)).outputs
    return (results.length === 1 && !Array.isArray(options.outputs) ? results[0] : results) as R
  }

  /**
   * The outputs in training mode, always as a list, and the state after it. Inputs, options and errors as for `predict`.
   *
   * Source: MATLAB, `forward`.
   */
  forward(...inputs: readonly (NetworkInput | PredictOptions)[]): { outputs: DlArray[]; state: ParameterRow[] } {
    const { data, options } = this.#arguments(inputs, 'forward')
    return scope(() => this.#evaluate(data, options, 'forward', true))
  }

  #evaluate(data: readonly unknown[], options: PredictOptions, call: string, training: boolean) {
    const ports = graphInputs(this.#graph)
    const type = this.#rows(learnablesOf).some(({ value }) => value?.underlyingType === 'double') ? 'double' : 'single'
    const arrays = ports.map(({ layer }, i) => inputArray(data[i], this.#graph.layers[layer]!, type, call))
    const outputs = typeof options.outputs === 'string' ? [options.outputs] : options.outputs
    return this.run(arrays, { training, random: currentStream(), outputs }, call)
  }

  #arguments(given: readonly unknown[], call: string): { data: unknown[]; options: PredictOptions } {
    const data = [...given]
    const last = data.at(-1)
    let options: PredictOptions = {}
    if (isOptions(last) && !isSizedData(last)) {
      data.pop()
      options = checkOptions(call, last, ['outputs'])
    }
    const { outputs } = options
    if (outputs !== undefined && typeof outputs !== 'string' && !isNameList(outputs))
      throw new OptionError({
        call,
        expects: 'a name, or a list of names, as outputs',
        got: JSON.stringify(outputs),
        remedy: "Write { outputs: 'relu' } or { outputs: ['relu', 'softmax'] }.",
      })
    this.#checkUse(call, data.length)
    return { data, options }
  }

  #checkUse(call: string, count: number): void {
    const names = this.inputNames
    const problem = (expects: string, got: string, remedy: string) => new NetworkError({ call, expects, got, remedy })
    if (this.#isDisposed)
      throw problem(
        'a network that is in use',
        'one whose memory was freed by dispose()',
        'Keep it until it is used last.',
      )
    if (this.#graph.layers.length === 0)
      throw problem('a network with layers', 'an empty one', 'Add layers with addLayers.')
    if (!this.initialized)
      throw problem(
        'an initialized network',
        'one that is not',
        'Use what net.initialize(X) returns, with an example for each input that has no input layer.',
      )
    if (count !== names.length)
      throw problem(
        `${names.length} ${names.length === 1 ? 'input' : 'inputs'} (${quoted(names)})`,
        String(count),
        'Give one array for each input, in this order.',
      )
  }

  /**
   * Computes outputs for arrays in the order of `inputNames`. Each layer runs in a scope of its own and an array is freed after
   * the last layer that reads it, so that only what a trace saved or what is returned lives on.
   */
  run(inputs: readonly DlArray[], context: RunContext, call = 'run'): { outputs: DlArray[]; state: ParameterRow[] } {
    this.#checkUse(call, inputs.length)
    const plan = this.#planFor(context.outputs, call)
    const overrides = context.parameters ? this.#overridesFrom(context.parameters, call) : this.#traced
    const layerContext = { training: context.training, random: context.random }
    const borrowed = new Set<DlArray>([...inputs, ...this[heldArrays](), ...(context.parameters ?? [])])
    return scope(() => {
      const slots: (DlArray | undefined)[] = new Array(plan.slots)
      plan.inputs.forEach((slot, i) => {
        if (slot !== undefined) slots[slot] = inputs[i]
      })
      for (const step of plan.steps) {
        const layer = this.#graph.layers[step.layer]!
        const read = step.inputs.map((slot) => slots[slot]!)
        const results = scope(() => runLayer(layer, read, overrides?.get(step.layer), layerContext))
        context.observe?.(layer.name, results)
        step.outputs.forEach((slot, i) => {
          slots[slot] = results[i]
        })
        for (const slot of step.finished) {
          const array = slots[slot]
          slots[slot] = undefined
          // A layer may hand its input on: then another slot holds the same array.
          if (array && !borrowed.has(array) && !slots.includes(array)) array.dispose()
        }
      }
      return { outputs: plan.outputs.map((slot) => slots[slot]!), state: this.state }
    })
  }

  #planFor(outputs: readonly string[] | undefined, call: string): ExecutionPlan {
    const key = JSON.stringify(outputs ?? null)
    let plan = this.#plans.get(key)
    if (!plan) {
      const ports = outputs?.map((name) => portNamed(this.#graph, name, 'output', call)) ?? this.#outputPorts()
      plan = planExecution(this.#graph, graphInputs(this.#graph), ports)
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
    return this.#graph.layers.flatMap((layer, number) =>
      learnablesOf(layer).map(({ name, value, learnRateFactor, l2Factor }) => {
        const current = this.#traced?.get(number)?.[name] ?? value
        if (!current)
          throw new NetworkError({
            call: layerLabel(layer),
            expects: `${name} to be initialized`,
            got: 'an empty one',
            remedy: 'Use what net.initialize(X) returns.',
          })
        return { layer: layer.name, parameter: name, value: current, learnRateFactor, l2Factor }
      }),
    )
  }

  /**
   * Gives all learnables new values, in the order of `parameterList`, and frees the old ones. The network holds the memory
   * itself: the arrays given may be freed.
   */
  replaceParameters(values: readonly DlArray[]): void {
    const rows = this.learnables
    if (values.length !== rows.length) throw wrongCount('replaceParameters', rows.length, values.length)
    this.#replaceRows(
      rows.map((row, i) => ({ ...row, value: values[i] })),
      'Learnables',
      rows,
      setLearnable,
    )
  }

  #overridesFrom(values: readonly DlArray[], call: string): Overrides {
    const rows = this.#rows(learnablesOf)
    if (values.length !== rows.length) throw wrongCount(call, rows.length, values.length)
    let next = 0
    return this.#withParameters(() => values[next++]!)
  }

  /** Every layer's parameters by name: learnables as `replace` gives them, in order, and state as it is. */
  #withParameters(replace: (value: DlArray) => DlArray): Overrides {
    return new Map(
      this.#graph.layers.map((layer, number) => [
        number,
        Object.fromEntries([
          ...learnablesOf(layer).flatMap(({ name, value }) => (value ? [[name, replace(value)] as const] : [])),
          ...stateOf(layer).flatMap(({ name, value }) => (value ? [[name, value] as const] : [])),
        ]),
      ]),
    )
  }

  /** @internal The same network over traced parameters. */
  [tracedCopy](trace: (array: DlArray) => DlArray): DlNetwork {
    this.#checkUse('dlfeval', this.inputNames.length)
    return new DlNetwork(this.content, this.#withParameters(trace))
  }

  /** @internal Everything whose memory the network needs. */
  [heldArrays](): DlArray[] {
    const own = this.#graph.layers.flatMap((layer) =>
      Object.values(properties(layer)).filter((value) => value instanceof DlArray),
    )
    return this.#traced ? [...own, ...[...this.#traced.values()].flatMap((record) => Object.values(record))] : own
  }

  /** Frees the parameters now. Without it they are freed when the network is no longer reachable. */
  dispose(): void {
    if (this.#traced) return
    this.#isDisposed = true
    for (const array of this[heldArrays]()) array.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

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
    const last = given.at(-1)
    const hasOptions = isOptions(last)
    const { seed } = hasOptions ? checkOptions<InitializeOptions>(call, last, ['seed']) : {}
    const examples = hasOptions ? given.slice(0, -1) : given
    const graph = copyGraph(this.#graph)
    const random = seed === undefined ? currentStream() : new RandomStream(seed)
    const layouts = initializeGraph(graph, examples, random, call)
    return new DlNetwork({ ...this.content, graph, layouts })
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

export type FactorArguments =
  | readonly [layer: string, parameter: string, factor: number]
  | readonly [path: string, factor: number]

function parameterPath(where: readonly unknown[], call: string): { layer: string; parameter: string } {
  const [first, second] = where
  if (where.length === 2 && typeof first === 'string' && typeof second === 'string')
    return { layer: first, parameter: second }
  const slash = typeof first === 'string' ? first.lastIndexOf('/') : -1
  if (where.length === 1 && typeof first === 'string' && slash > 0)
    return { layer: first.slice(0, slash), parameter: first.slice(slash + 1) }
  throw new OptionError({
    call,
    expects: "a layer and a parameter, or 'layer/parameter'",
    got: where.map((one) => (typeof one === 'string' ? `'${one}'` : typeof one)).join(', ') || 'nothing',
    remedy: `Write ${call}('fc', 'Weights'${call.startsWith('set') ? ', 2' : ''}).`,
  })
}

function wrongCount(call: string, expected: number, got: number): DimensionError {
  return new DimensionError({
    call,
    expects: `${expected} arrays, one for each learnable parameter`,
    got: String(got),
    remedy: 'Give them in the order of parameterList.',
  })
}

/**
 * Makes a network.
 *
 * | call | network |
 * | --- | --- |
 * | `dlnetwork()` | empty, to be filled with `addLayers` and `connectLayers` |
 * | `dlnetwork(layers)` | a layer array connected in series; initialized when its input is determined by an input layer |
 * | `dlnetwork(layers, X1, ..., XN)` | the same, sizes taken from example inputs: dlarrays or `networkDataLayout`s |
 *
 * The last argument may be options: `initialize`, `outputNames`, `seed`. The network takes copies of the layers and gives a
 * name to those without one: `conv`, or `conv_1`, `conv_2`, ... where a kind occurs several times.
 *
 * Errors: a {@link NetworkError} for duplicate names, inputs connected to nothing, and layers that do not fit together, with
 * the layer, the format and both numbers. Source: MATLAB, `dlnetwork`.
 */
export function dlnetwork(
  layers: Layer | readonly Layer[] = [],
  ...given: readonly (ExampleInput | NetworkOptions)[]
): DlNetwork {
  const call = 'dlnetwork'
  const last = given.at(-1)
  const hasOptions = isOptions(last)
  const options = hasOptions
    ? checkOptions<NetworkOptions>(call, last, ['initialize', 'outputNames', 'seed'])
    : ({} as NetworkOptions)
  const examples = hasOptions ? given.slice(0, -1) : given
  const { initialize = true, outputNames, seed } = options
  if (typeof initialize !== 'boolean' || (outputNames !== undefined && !isNameList(outputNames)))
    throw new OptionError({
      call,
      expects: 'true or false for initialize, and a list of names for outputNames',
      got: JSON.stringify({ initialize, outputNames }),
      remedy: "Write { initialize: false, outputNames: ['softmax'] }.",
    })
  const graph = withSeries(emptyGraph, namedCopies(layers, [], call), call)
  const chosenOutputs = outputNames?.map((name) => portNamed(graph, name, 'output', call))
  const net = new DlNetwork({ graph, chosenOutputs, layouts: undefined })
  if (!initialize || graph.layers.length === 0) {
    if (examples.length > 0) throw examplesWithoutUse(call)
    return net
  }
  const isDetermined = graph.layers.some((layer) => isInputLayer(layer) && inputInfo(layer))
  if (examples.length === 0 && !isDetermined) return net
  return net.initialize(...(examples as readonly ExampleInput[]), { seed })
}

function examplesWithoutUse(call: string): NetworkError {
  return new NetworkError({
    call,
    expects: 'example inputs only for layers that are to be initialized',
    got: 'example inputs beside initialize: false, or without layers',
    remedy: 'Leave them out, or give them to net.initialize.',
  })
}

function namedCopies(layers: unknown, others: readonly Layer[], call: string): Layer[] {
  const list = layerArray(isLayer(layers) ? [layers] : (layers as readonly Layer[]))
  const names = layerNames(
    list,
    others.map((layer) => layer.name),
    call,
  )
  return Array.from(list, (layer, i) => {
    const copy = copyLayer(layer)
    copy.name = names[i]!
    return copy
  })
}

function copyGraph({ layers, edges }: LayerGraph): LayerGraph {
  return { layers: layers.map(copyLayer), edges }
}

function isOptions(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function isNameList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === 'string')
}

function checkOptions<T extends object>(call: string, given: Record<string, unknown>, names: readonly string[]): T {
  for (const name of Object.keys(given))
    if (!names.includes(name))
      throw new OptionError({
        call,
        expects: `options among ${names.join(', ')}`,
        got: `'${name}'`,
        remedy: 'Check the spelling, or leave it out.',
      })
  return given as T
}
