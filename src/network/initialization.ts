import { type ArrayInfo, type DlArray, isdlarray } from '../array/dlarray.js'
import { describe } from '../array/format.js'
import { MemoryError, NetworkError } from '../errors.js'
import type { InputLayer } from '../layers/input.js'
import { inputInfo, isInputLayer, type Layer, layerLabel } from '../layers/layer.js'
import { inferLayer, initializeLayer } from '../layers/layer-running.js'
import { currentStream, RandomStream } from '../operations/arrays/random.js'
import {
  graphInputs,
  type LayerGraph,
  type Port,
  portKey,
  portName,
  quoted,
  sourcesOf,
  topologicalOrder,
} from './layer-graph.js'
import { NetworkDataLayout, networkDataLayout } from './network-data-layout.js'
import { graphArrays } from './network-parameters.js'

// Sizes and first values of parameters: the layers' size rules, one after the other from the inputs on. Nothing is computed.

/** An input described by data or by its size and format. */
export type ExampleInput = DlArray | NetworkDataLayout

/** Options of `initialize`. */
export interface InitializeOptions {
  /** Seed of the initial values; default: the stream that `rng` controls goes on. */
  readonly seed?: number
}

/** What a layer that data enters through is told about it before there is any. */
interface ExampleInfo {
  readonly info: ArrayInfo
  /** The same with other numbers where extents are unknown; what differs between the two is unknown too. */
  readonly other: ArrayInfo
}

/** Stand for an unknown spatial, time or unspecified extent: large enough for windows, and divisible by strides. */
const STAND_IN = 256
const OTHER_STAND_IN = 512

/** An array's description with numbers in place of unknown extents; one observation where their number is unknown. */
function exampleInfo(info: ArrayInfo): ExampleInfo {
  const filled = (standIn: number): ArrayInfo => ({
    size: info.size.map((extent, d) => (Number.isNaN(extent) ? (info.dims[d] === 'B' ? 1 : standIn) : extent)),
    dims: info.dims,
    type: info.type,
  })
  return { info: filled(STAND_IN), other: filled(OTHER_STAND_IN) }
}

/** The graph, its parameters filled in place; what it holds is freed when that fails. */
export function initialized(graph: LayerGraph, examples: readonly unknown[], seed: number | undefined, call: string) {
  const random = seed === undefined ? currentStream() : new RandomStream(seed)
  try {
    return { graph, layouts: initializeGraph(graph, examples, random, call) }
  } catch (error) {
    for (const array of graphArrays(graph)) array.dispose()
    throw error
  }
}

/**
 * Fills sizes and parameters of all layers, following their size rules from the inputs on. Returns what the sizes follow from,
 * one layout for each input.
 */
export function initializeGraph(
  graph: LayerGraph,
  examples: readonly unknown[],
  random: RandomStream,
  call: string,
): NetworkDataLayout[] {
  const entries = entryInfos(graph, examples, call)
  const sources = sourcesOf(graph)
  const entryAt = new Map(entries.map(({ port, info }) => [portKey(port), exampleInfo(info)]))
  const known = new Map<string, ExampleInfo>()
  const hasUnknown = entries.some(({ info }) => info.size.some(Number.isNaN))
  for (const number of topologicalOrder(graph, call)) {
    const layer = graph.layers[number]!
    const count = isInputLayer(layer) ? 1 : layer.numInputs
    const inputs = Array.from({ length: count }, (_, port) => {
      const key = portKey({ layer: number, port })
      const from = sources.get(key)
      return from ? known.get(portKey(from))! : entryAt.get(key)!
    })
    const infos = inputs.map(({ info }) => info)
    // As it is called before what is unknown has numbers in it.
    const label = layerLabel(layer)
    fillLayer(layer, infos, random)
    const outputs = inferLayer(layer, infos)
    const others = hasUnknown ? inferOther(layer, inputs, label) : outputs
    outputs.forEach((info, port) => {
      known.set(portKey({ layer: number, port }), { info, other: others[port]! })
    })
  }
  return entries.map(({ info }) => new NetworkDataLayout(info.size, info.dims))
}

function fillLayer(layer: Layer, infos: readonly ArrayInfo[], random: RandomStream): void {
  try {
    initializeLayer(layer, infos, random)
  } catch (error) {
    // What a typed array says to a length beyond all memory.
    if (!(error instanceof RangeError)) throw error
    throw new MemoryError(
      {
        call: layerLabel(layer),
        expects: 'parameters that fit into memory',
        got: `an input of ${infos.map(describe).join(' and ')} and ${error.message}`,
        remedy: 'Make the layer or its input smaller.',
      },
      { cause: error },
    )
  }
}

/** What comes out if the extents that are unknown have other values: parameters that now do not fit depend on them. */
function inferOther(layer: Layer, inputs: readonly ExampleInfo[], label: string): ArrayInfo[] {
  try {
    return inferLayer(
      layer,
      inputs.map(({ other }) => other),
    )
  } catch (error) {
    const { size, dims } = inputs[0]!.info
    const shown = size.map((extent, d) => `${extent === inputs[0]!.other.size[d] ? extent : 'unknown'}(${dims[d]})`)
    throw new NetworkError(
      {
        call: label,
        expects: 'parameters whose size follows from what is known of the input',
        got: `an input of ${shown.join(' × ')}`,
        remedy: 'Give the extents that are NaN in networkDataLayout or in the input layer.',
      },
      { cause: error },
    )
  }
}

/** What an input layer says about the data it takes; undefined for other layers. */
export function describedInput(layer: Layer): ArrayInfo | undefined {
  if (!isInputLayer(layer)) return undefined
  const info = inputInfo(layer)
  if (info || !isOpenInput(layer)) return info
  const { size, dims } = networkDataLayout(layer.inputSize, layer.inputFormat)
  return { size, dims, type: 'single' }
}

function isOpenInput(layer: Layer): layer is InputLayer {
  return 'inputSize' in layer && 'inputFormat' in layer
}

/** What enters at each input: from the examples where there are some, else from the input layer. */
function entryInfos(graph: LayerGraph, examples: readonly unknown[], call: string) {
  const ports = graphInputs(graph)
  const layerOf = (port: Port) => graph.layers[port.layer]!
  const described = (port: Port) => describedInput(layerOf(port))
  const open = ports.filter((port) => !described(port))
  if (graph.layers.length === 0)
    throw new NetworkError({ call, expects: 'a network with layers', got: 'an empty one', remedy: 'Add layers first.' })
  const isForAll = examples.length === ports.length
  if (!isForAll && examples.length !== open.length) {
    const names = open.map((port) => portName(graph, port, 'input'))
    throw new NetworkError({
      call,
      expects: open.length
        ? `inputs that are connected, or an example for each (unconnected: ${quoted(names)})`
        : `an example for each of the ${ports.length} inputs, or none`,
      got: examples.length === 0 ? 'no examples' : `${examples.length} examples`,
      remedy: 'Connect them with connectLayers, or give example inputs in the order of inputNames.',
    })
  }
  const infoOf = (example: unknown): ArrayInfo => {
    if (isdlarray(example)) return { size: example.size, dims: example.dims, type: example.underlyingType }
    if (example instanceof NetworkDataLayout) return { size: example.size, dims: example.dims, type: 'single' }
    throw new NetworkError({
      call,
      expects: 'example inputs that are dlarrays or networkDataLayouts',
      got: example === null ? 'null' : Array.isArray(example) ? 'a list' : typeof example,
      remedy: "Write networkDataLayout([28, 28, 3, NaN], 'SSCB').",
    })
  }
  const waiting = [...examples]
  return ports.map((port) => ({
    port,
    info: isForAll || !described(port) ? infoOf(waiting.shift()) : described(port)!,
  }))
}
