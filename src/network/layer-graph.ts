import { NetworkError } from '../errors.js'
import { copyLayer, isInputLayer, type Layer, layerLabel } from '../layers/layer.js'

// The graph of a network: layers, and connections from outputs to inputs. Values: every change gives another graph.

/** Output or input number `port` of layer number `layer`, both counted from 0. */
export interface Port {
  readonly layer: number
  readonly port: number
}

export interface Edge {
  readonly from: Port
  readonly to: Port
}

export interface LayerGraph {
  /** Their names are not empty, and all different. */
  readonly layers: readonly Layer[]
  readonly edges: readonly Edge[]
}

/** One row of `net.connections`. */
export interface Connection {
  /** `'relu'`, or `'split/out2'` for a layer with several outputs. */
  readonly source: string
  /** `'fc'`, or `'cat/in2'` for a layer with several inputs. */
  readonly destination: string
}

type Side = 'input' | 'output'

export const emptyGraph: LayerGraph = { layers: [], edges: [] }

/** The graph with layers of its own, to be changed. */
export function copyGraph({ layers, edges }: LayerGraph): LayerGraph {
  return { layers: layers.map(copyLayer), edges }
}

/** Adds layers, each connected to the one before it. */
export function withSeries(graph: LayerGraph, added: readonly Layer[], call: string): LayerGraph {
  const first = graph.layers.length
  const edges: Edge[] = []
  for (let i = 1; i < added.length; i++) {
    const layer = added[i]!
    const before = added[i - 1]!
    if (isInputLayer(layer))
      throw new NetworkError({
        call,
        expects: 'an input layer only at the beginning of a layer array',
        got: `${layerLabel(layer)} after ${layerLabel(before)}`,
        remedy: 'Add it on its own with addLayers and connect it with connectLayers.',
      })
    if (before.numOutputs > 0 && layer.numInputs > 0)
      edges.push({ from: { layer: first + i - 1, port: 0 }, to: { layer: first + i, port: 0 } })
  }
  return { layers: [...graph.layers, ...added], edges: [...graph.edges, ...edges] }
}

export function connected(graph: LayerGraph, source: string, destination: string, call: string): LayerGraph {
  const from = portNamed(graph, source, 'output', call)
  const to = portNamed(graph, destination, 'input', call)
  const existing = graph.edges.find((edge) => samePort(edge.to, to))
  if (existing)
    throw new NetworkError({
      call,
      expects: `an input that is free for '${source}'`,
      got: `'${portName(graph, to, 'input')}', which is connected to '${portName(graph, existing.from, 'output')}'`,
      remedy: 'Disconnect that first with disconnectLayers.',
    })
  const result = { layers: graph.layers, edges: [...graph.edges, { from, to }] }
  topologicalOrder(result, call)
  return result
}

export function disconnected(graph: LayerGraph, source: string, destination: string, call: string): LayerGraph {
  const from = portNamed(graph, source, 'output', call)
  const to = portNamed(graph, destination, 'input', call)
  const edges = graph.edges.filter((edge) => !(samePort(edge.from, from) && samePort(edge.to, to)))
  if (edges.length === graph.edges.length) {
    const leading = graph.edges.filter((edge) => edge.from.layer === from.layer)
    throw new NetworkError({
      call,
      expects: `a connection from '${source}' to '${destination}'`,
      got: leading.length
        ? `'${source}' connected to ${quoted(leading.map((edge) => portName(graph, edge.to, 'input')))}`
        : `'${source}' connected to nothing`,
      remedy: 'See connections for those there are.',
    })
  }
  return { layers: graph.layers, edges }
}

/** The graph without some layers and their connections, and the new number of each layer that stays. */
export function without(graph: LayerGraph, names: readonly string[], call: string) {
  const gone = new Set(names.map((name) => layerNamed(graph, name, call)))
  const numbers = new Map<number, number>()
  graph.layers.forEach((_, layer) => {
    if (!gone.has(layer)) numbers.set(layer, numbers.size)
  })
  const moved = ({ layer, port }: Port): Port => ({ layer: numbers.get(layer)!, port })
  const edges = graph.edges
    .filter(({ from, to }) => numbers.has(from.layer) && numbers.has(to.layer))
    .map(({ from, to }) => ({ from: moved(from), to: moved(to) }))
  return { graph: { layers: graph.layers.filter((_, layer) => numbers.has(layer)), edges }, numbers }
}

/**
 * The graph with a layer replaced by a series of layers: connections into it lead to the first, those out of it come from
 * the last. Gives the new number of each layer that stays, and of the last of the series under the replaced one's.
 */
export function replaced(graph: LayerGraph, name: string, series: readonly Layer[], call: string) {
  const at = layerNamed(graph, name, call)
  const old = graph.layers[at]!
  const first = series[0]
  const last = series.at(-1)
  if (!first || !last)
    throw new NetworkError({
      call,
      expects: `layers in place of ${layerLabel(old)}`,
      got: 'none',
      remedy: 'Give at least one layer, or use removeLayers.',
    })
  for (const [side, count, wanted, layer] of [
    ['input', first.numInputs, old.numInputs, first],
    ['output', last.numOutputs, old.numOutputs, last],
  ] as const)
    if (count < usedPorts(graph, at, side))
      throw new NetworkError({
        call,
        expects: `${wanted} ${side}s in place of ${layerLabel(old)}`,
        got: `${count} of ${layerLabel(layer)}`,
        remedy: 'Disconnect the layer first, or replace it by layers with as many.',
      })
  const moved = (layer: number) => (layer < at ? layer : layer + series.length - 1)
  const inner = withSeries({ layers: graph.layers.slice(0, at), edges: [] }, series, call)
  const numbers = new Map(graph.layers.map((_, layer) => [layer, moved(layer)]))
  const edges = graph.edges.map(({ from, to }) => ({
    from: { layer: moved(from.layer), port: from.port },
    to: { layer: to.layer === at ? at : moved(to.layer), port: to.port },
  }))
  return {
    graph: { layers: [...inner.layers, ...graph.layers.slice(at + 1)], edges: [...edges, ...inner.edges] },
    numbers,
  }
}

function usedPorts(graph: LayerGraph, layer: number, side: Side): number {
  const ports = graph.edges
    .map((edge) => (side === 'input' ? edge.to : edge.from))
    .filter((port) => port.layer === layer)
  return Math.max(0, ...ports.map(({ port }) => port + 1))
}

/** The number of a layer. Throws a {@link NetworkError} that lists the names there are. */
export function layerNamed(graph: LayerGraph, name: unknown, call: string): number {
  const found = graph.layers.findIndex((layer) => layer.name === name)
  if (found >= 0) return found
  throw new NetworkError({
    call,
    expects: graph.layers.length ? `a layer among ${quoted(graph.layers.map((layer) => layer.name))}` : 'a layer',
    got: typeof name === 'string' ? `'${name}'` : name === null ? 'null' : typeof name,
    remedy: graph.layers.length ? 'Check the spelling.' : 'The network has no layers: add some with addLayers.',
  })
}

/** The input or output that `'relu'` or `'cat/in2'` names. */
export function portNamed(graph: LayerGraph, name: unknown, side: Side, call: string): Port {
  const text = typeof name === 'string' ? name : ''
  const slash = text.indexOf('/')
  const layer = layerNamed(graph, slash < 0 ? name : text.slice(0, slash), call)
  const names = portNames(graph.layers[layer]!, side)
  const port = slash < 0 ? (names.length === 1 ? 0 : -1) : names.indexOf(text.slice(slash + 1))
  if (port >= 0) return { layer, port }
  const label = layerLabel(graph.layers[layer]!)
  const full = names.map((one) => `${graph.layers[layer]!.name}/${one}`)
  throw new NetworkError({
    call,
    expects: names.length ? `an ${side} of ${label}: ${quoted(full)}` : `a layer with ${side}s`,
    got: names.length ? `'${name}'` : label,
    remedy: names.length ? 'Name one of them.' : `An input layer has no ${side}s to connect: data enters through it.`,
  })
}

/** `'relu'`, or `'cat/in2'` where the layer has several. */
export function portName(graph: LayerGraph, { layer, port }: Port, side: Side): string {
  const { name } = graph.layers[layer]!
  const names = portNames(graph.layers[layer]!, side)
  return names.length > 1 ? `${name}/${names[port]}` : name
}

function portNames(layer: Layer, side: Side): readonly string[] {
  return side === 'input' ? layer.inputNames : layer.outputNames
}

export function samePort(a: Port, b: Port): boolean {
  return a.layer === b.layer && a.port === b.port
}

/** A port as the key of a map. */
export function portKey({ layer, port }: Port): string {
  return `${layer}/${port}`
}

/** For each input that is connected, by its key, the output it is connected to. */
export function sourcesOf(graph: LayerGraph): ReadonlyMap<string, Port> {
  return new Map(graph.edges.map(({ from, to }) => [portKey(to), from]))
}

export function connectionsOf(graph: LayerGraph): Connection[] {
  return [...graph.edges]
    .sort((a, b) => a.from.layer - b.from.layer || a.to.layer - b.to.layer || a.to.port - b.to.port)
    .map(({ from, to }) => ({
      source: portName(graph, from, 'output'),
      destination: portName(graph, to, 'input'),
    }))
}

/** Where data enters: input layers, and inputs that nothing is connected to; in the order of the layers. */
export function graphInputs(graph: LayerGraph): Port[] {
  const taken = sourcesOf(graph)
  return graph.layers.flatMap((layer, number) => {
    if (isInputLayer(layer)) return [{ layer: number, port: 0 }]
    return layer.inputNames.map((_, port) => ({ layer: number, port })).filter((port) => !taken.has(portKey(port)))
  })
}

/** Outputs that are connected to nothing, in the order of the layers. */
export function graphOutputs(graph: LayerGraph): Port[] {
  const taken = new Set(graph.edges.map(({ from }) => portKey(from)))
  return graph.layers.flatMap((layer, number) =>
    layer.outputNames.map((_, port) => ({ layer: number, port })).filter((port) => !taken.has(portKey(port))),
  )
}

/** Layers in an order in which each comes after those it depends on, otherwise as they are. Throws for a cycle. */
export function topologicalOrder(graph: LayerGraph, call: string): number[] {
  const waiting = graph.layers.map(() => 0)
  const following: number[][] = graph.layers.map(() => [])
  for (const { from, to } of graph.edges) {
    waiting[to.layer]!++
    following[from.layer]!.push(to.layer)
  }
  const order: number[] = []
  const isPlaced = graph.layers.map(() => false)
  for (let next = 0; next < graph.layers.length; ) {
    if (isPlaced[next] || waiting[next]! > 0) {
      next++
      continue
    }
    isPlaced[next] = true
    order.push(next)
    let earliest = next + 1
    for (const layer of following[next]!) {
      waiting[layer]!--
      if (waiting[layer] === 0) earliest = Math.min(earliest, layer)
    }
    next = earliest
  }
  if (order.length < graph.layers.length) throw cycleError(graph, isPlaced, call)
  return order
}

function cycleError(graph: LayerGraph, isPlaced: readonly boolean[], call: string): NetworkError {
  // Every layer left over has one before it that is left over too: going back repeats a layer in the end.
  const path: number[] = []
  let layer = isPlaced.indexOf(false)
  while (!path.includes(layer)) {
    path.unshift(layer)
    const at: number = layer
    layer = graph.edges.find(({ from, to }) => to.layer === at && !isPlaced[from.layer])!.from.layer
  }
  const cycle = [layer, ...path.slice(0, path.indexOf(layer) + 1)]
  return new NetworkError({
    call,
    expects: 'connections without a cycle',
    got: cycle.map((one) => `'${graph.layers[one]!.name}'`).join(' -> '),
    remedy: 'Remove one of these connections: data must be able to flow from the inputs to the outputs.',
  })
}

export function quoted(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ')
}
