import { type DlArray, isdlarray } from '../array/dlarray.js'
import { DlnetError, FileError, MemoryError, OptionError } from '../errors.js'
import { decodeArrays, encodeArrays } from '../io/arrays.js'
import { readFileBytes, writeFileAtomically } from '../io/file.js'
import { damaged, parseStrictJSON, type Reading } from '../io/strict-json.js'
import { isLayer, type Layer, layerLabel } from '../layers/layer.js'
import { layerFromJSON, layerToJSON } from '../layers/layer-json.js'
import { learnablesOf, setLearnable, setState, stateOf } from '../layers/layer-parameters.js'
import { scope } from '../memory/scope.js'
import { RandomStream } from '../operations/arrays/random.js'
import { DlNetwork, type NetworkContent } from './dlnetwork.js'
import { initializeGraph } from './initialization.js'
import { type Edge, type LayerGraph, type Port, portKey, topologicalOrder } from './layer-graph.js'
import { layerNames } from './layer-names.js'
import { type NetworkDataLayout, networkDataLayout } from './network-data-layout.js'

// A network in one safetensors file: parameters as tensors named 'layer/parameter', everything else as JSON in the metadata.

const NETWORK = 'network'

/** More than any network has; keeps what a made-up file can cost in bounds. */
const MOST_LAYERS = 10_000
const MOST_CONNECTIONS = 100_000

/** The JSON of a network. Ports are `'layer/in1'`, layers by name. */
interface NetworkJSON {
  readonly layers: readonly unknown[]
  readonly connections: readonly (readonly [source: string, destination: string])[]
  /** null: every output that is connected to nothing. */
  readonly outputs: readonly string[] | null
  /** null for a network that is not initialized; extents are null where unknown. */
  readonly inputs: readonly { readonly size: readonly (number | null)[]; readonly format: string }[] | null
}

/**
 * The bytes of a file that holds a network: layers with all settings, connections, parameters with their bits, factors, state
 * and input statistics. Solver state is not part of a network.
 *
 * Errors: an {@link OptionError} for a layer with a setting that is a function, which no file can hold.
 */
export function serializeNetwork(net: DlNetwork): Uint8Array {
  return serialize(net, 'serializeNetwork')
}

function serialize(net: DlNetwork, call: string): Uint8Array {
  if (!(net instanceof DlNetwork))
    throw new OptionError({
      call,
      expects: 'a dlnetwork',
      got: isLayer(net) ? layerLabel(net) : typeof net,
      remedy: 'Make a network of layers with dlnetwork(layers).',
    })
  const { graph, chosenOutputs, layouts } = net.content
  const source = ({ layer, port }: Port) => `${graph.layers[layer]!.name}/${graph.layers[layer]!.outputNames[port]}`
  const destination = ({ layer, port }: Port) => `${graph.layers[layer]!.name}/${graph.layers[layer]!.inputNames[port]}`
  const json: NetworkJSON = {
    layers: graph.layers.map(settingsOf),
    connections: graph.edges.map(({ from, to }) => [source(from), destination(to)]),
    outputs: chosenOutputs?.map(source) ?? null,
    inputs:
      layouts?.map(({ size, format }) => ({ size: size.map((n) => (Number.isNaN(n) ? null : n)), format })) ?? null,
  }
  const arrays: Record<string, DlArray> = {}
  for (const { layer, parameter, value } of [...net.learnables, ...net.state])
    if (value) arrays[`${layer}/${parameter}`] = value
  return encodeArrays(arrays, { [NETWORK]: JSON.stringify(json) }, call)
}

function settingsOf(layer: Layer): unknown {
  try {
    return layerToJSON(layer)
  } catch (error) {
    if (!(error instanceof OptionError)) throw error
    const { call, expects, got } = error.problem
    const remedy = `Take the layer from net.layers, give it a setting that is no function, and save net.replaceLayer('${layer.name}', layer).initialize(): the parameters stay.`
    throw new OptionError({ call, expects, got, remedy }, { cause: error })
  }
}

/**
 * The network in bytes that {@link serializeNetwork} made, equal in every bit.
 *
 * Errors: a {@link FileError} for anything else: cut short, altered, or made up.
 */
export function deserializeNetwork(bytes: Uint8Array | ArrayBuffer): DlNetwork {
  return deserialize(bytes, { call: 'deserializeNetwork', source: 'the bytes' })
}

function deserialize(bytes: Uint8Array | ArrayBuffer, reading: Reading): DlNetwork {
  try {
    return scope(() => {
      const { arrays, metadata } = decodeArrays(bytes, reading)
      const text = metadata[NETWORK]
      if (text === undefined)
        throw new FileError({
          call: reading.call,
          expects: `a network in ${reading.source}`,
          got: 'arrays without one',
          remedy: 'Read it with loadArrays.',
        })
      return new DlNetwork(build(parseStrictJSON(text, 'the description of the network', reading), arrays, reading))
    })
  } catch (error) {
    if (error instanceof FileError || error instanceof MemoryError) throw error
    // Whatever a layer or the graph found wrong, it is the file that is wrong.
    const words =
      error instanceof DlnetError
        ? `${error.problem.call}, which expects ${error.problem.expects}, with ${error.problem.got}`
        : String(error instanceof Error ? error.message : error)
    throw damaged(reading, 'layers and parameters that make a network', words, error)
  }
}

function build(json: unknown, arrays: Readonly<Record<string, DlArray>>, reading: Reading): NetworkContent {
  const fail = (expects: string, got: unknown) =>
    damaged(reading, expects, typeof got === 'string' ? got : (JSON.stringify(got) ?? 'nothing').slice(0, 60))
  if (!isRecord(json)) throw fail('the description of a network', json)
  const { layers: described, connections, outputs, inputs } = json
  if (!Array.isArray(described) || described.length > MOST_LAYERS)
    throw fail(`a list of at most ${MOST_LAYERS} layers`, Array.isArray(described) ? `${described.length}` : described)
  const layers = described.map(layerFromJSON)
  if (layers.some((layer) => layer.name === '')) throw fail('a name for every layer', "''")
  layerNames(layers, [], reading.call)
  const graph: LayerGraph = { layers, edges: readEdges(connections, layers, fail) }
  topologicalOrder(graph, reading.call)
  const chosenOutputs = outputs === null ? undefined : readPorts(outputs, layers, fail)
  setParameters(graph, arrays, inputs !== null, fail)
  const layouts = inputs === null ? undefined : readLayouts(inputs, fail)
  // Every size follows once more from the inputs, and every parameter must have it. Nothing is left to be filled.
  if (layouts) initializeGraph(graph, layouts, new RandomStream(), reading.call)
  return { graph, chosenOutputs, layouts }
}

type Fail = (expects: string, got: unknown) => FileError

function readEdges(value: unknown, layers: readonly Layer[], fail: Fail): Edge[] {
  if (!Array.isArray(value) || value.length > MOST_CONNECTIONS || value.some((pair) => !isPair(pair)))
    throw fail('a list of connections, each a pair of names', value)
  const pairs = value as [string, string][]
  const outputs = portsByName(layers, (layer) => layer.outputNames)
  const inputs = portsByName(layers, (layer) => layer.inputNames)
  const taken = new Set<string>()
  return pairs.map(([source, destination]) => {
    const from = outputs.get(source)
    const to = inputs.get(destination)
    if (!from || !to) throw fail('connections between layers', `'${source}' -> '${destination}'`)
    if (taken.has(portKey(to))) throw fail('one connection to an input', `two to '${destination}'`)
    taken.add(portKey(to))
    return { from, to }
  })
}

function readPorts(value: unknown, layers: readonly Layer[], fail: Fail): Port[] {
  const outputs = portsByName(layers, (layer) => layer.outputNames)
  const ports = Array.isArray(value) ? value.map((name) => outputs.get(name)) : []
  if (ports.length === 0 || ports.some((port) => !port)) throw fail('a list of outputs of layers', value)
  return ports as Port[]
}

function portsByName(layers: readonly Layer[], names: (layer: Layer) => readonly string[]): Map<unknown, Port> {
  return new Map(
    layers.flatMap((layer, number) =>
      names(layer).map((name, port) => [`${layer.name}/${name}`, { layer: number, port }]),
    ),
  )
}

/** Gives each layer its parameters. All of an initialized network's must be there, and no others. */
function setParameters(
  graph: LayerGraph,
  arrays: Readonly<Record<string, DlArray>>,
  isInitialized: boolean,
  fail: Fail,
): void {
  const left = new Map(Object.entries(arrays))
  for (const layer of graph.layers)
    for (const [parameters, set] of [
      [learnablesOf(layer), setLearnable],
      [stateOf(layer), setState],
    ] as const)
      for (const { name } of parameters) {
        const key = `${layer.name}/${name}`
        const array = left.get(key)
        left.delete(key)
        if (array && (array.dims !== '' || array.underlyingType === 'logical'))
          throw fail(`numbers without labels as '${key}'`, `${array.underlyingType} ${array.dims}`)
        if (array) set(layer, name, array)
        else if (isInitialized) throw fail('all parameters of an initialized network', `no '${key}'`)
      }
  for (const name of left.keys()) throw fail('parameters of the layers', `'${name}'`)
}

function readLayouts(value: unknown, fail: Fail): NetworkDataLayout[] {
  if (!Array.isArray(value)) throw fail('a list of inputs', value)
  return value.map((input) => {
    if (!isRecord(input) || !Array.isArray(input.size) || typeof input.format !== 'string')
      throw fail('the size and format of each input', input)
    return networkDataLayout(
      input.size.map((extent) => (extent === null ? Number.NaN : extent)),
      input.format,
    )
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isdlarray(value)
}

function isPair(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every((name) => typeof name === 'string')
}

/**
 * Saves a network as one file, a safetensors file that also says what its layers are; whole or not at all.
 *
 * Errors: a {@link FileError} when it cannot be written; a file of that name is then as it was. An {@link OptionError} for
 * layers with settings that are functions.
 */
export async function saveNetwork(net: DlNetwork, file: string): Promise<void> {
  await writeFileAtomically(file, serialize(net, 'saveNetwork'), 'saveNetwork', 'serializeNetwork')
}

/**
 * Loads a network that {@link saveNetwork} saved, equal in every bit.
 *
 * Errors: a {@link FileError} for a file that is missing, damaged, or of another kind.
 */
export async function loadNetwork(file: string): Promise<DlNetwork> {
  const bytes = await readFileBytes(file, 'loadNetwork', 'deserializeNetwork')
  return deserialize(bytes, { call: 'loadNetwork', source: `'${file}'` })
}
