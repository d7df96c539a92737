import { asText, NetworkError, OptionError } from '../errors.js'
import type { Layer } from '../layers/layer.js'
import { DlNetwork } from './dlnetwork.js'
import { describedInput, type ExampleInput, type InitializeOptions, initialized } from './initialization.js'
import { emptyGraph, portNamed, withSeries } from './layer-graph.js'
import { namedCopies } from './layer-names.js'
import { isNameList, splitOptions } from './network-arguments.js'

// The function that users make networks with: its arguments are read here, and the parts put together.

/** Options of {@link dlnetwork}. */
export interface NetworkOptions extends InitializeOptions {
  /** Whether to initialize the parameters; default true, where the inputs are determined. */
  readonly initialize?: boolean
  /** Layers or layer outputs that are the network's outputs; default: those that are connected to nothing. */
  readonly outputNames?: readonly string[]
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
  const { inputs: examples, options } = splitOptions<NetworkOptions>(given, ['initialize', 'outputNames', 'seed'], call)
  const { initialize = true, outputNames, seed } = options
  if (typeof initialize !== 'boolean' || (outputNames !== undefined && !isNameList(outputNames)))
    throw new OptionError({
      call,
      expects: 'true or false for initialize, and a list of names for outputNames',
      got: asText({ initialize, outputNames }),
      remedy: "Write { initialize: false, outputNames: ['softmax'] }.",
    })
  const graph = withSeries(emptyGraph, namedCopies(layers, [], call), call)
  const chosenOutputs = outputNames?.map((name) => portNamed(graph, name, 'output', call))
  if (!initialize || graph.layers.length === 0) {
    if (examples.length > 0) throw examplesWithoutUse(call)
    return new DlNetwork({ graph, chosenOutputs, layouts: undefined })
  }
  const isDetermined = graph.layers.some((layer) => describedInput(layer))
  if (examples.length === 0 && !isDetermined) return new DlNetwork({ graph, chosenOutputs, layouts: undefined })
  return new DlNetwork({ chosenOutputs, ...initialized(graph, examples, seed, call) })
}

function examplesWithoutUse(call: string): NetworkError {
  return new NetworkError({
    call,
    expects: 'example inputs only for layers that are to be initialized',
    got: 'example inputs beside initialize: false, or without layers',
    remedy: 'Leave them out, or give them to net.initialize.',
  })
}
