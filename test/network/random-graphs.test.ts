import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { backendNamed } from '../../src/backends/current.js'
import { MemoryError, NetworkError } from '../../src/errors.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { inputLayer } from '../../src/layers/input.js'
import { reluLayer } from '../../src/layers/relu.js'
import { scope } from '../../src/memory/scope.js'
import type { DlNetwork } from '../../src/network/dlnetwork.js'
import { planExecution } from '../../src/network/execution-plan.js'
import { graphInputs, graphOutputs, topologicalOrder } from '../../src/network/layer-graph.js'
import { networkDataLayout } from '../../src/network/network-data-layout.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { additionLayer, splitLayer } from './test-layers.js'

/** A node of a random graph: what it is, and which earlier outputs it reads. */
interface Node {
  readonly kind: 'relu' | 'add' | 'split'
  readonly reads: readonly number[]
}

const nodes = fc.array(
  fc.record({
    kind: fc.constantFrom('relu' as const, 'add' as const, 'split' as const),
    reads: fc.tuple(fc.nat(1000), fc.nat(1000)),
  }),
  { minLength: 1, maxLength: 14 },
)

/** The network of some nodes after a first ReLU, its layers in the order of `places`; and the value of every output. */
function build(described: readonly Node[], places: readonly number[], X: readonly number[]) {
  const outputs: { name: string; value: readonly number[] }[] = []
  const relu = (values: readonly number[]) => values.map((x) => Math.max(0, x))
  outputs.push({ name: 'n0', value: relu(X) })
  const connections: [string, string][] = []
  const names = ['n0']
  const layers = new Map([['n0', reluLayer({ name: 'n0' })]])
  described.forEach(({ kind, reads }, i) => {
    const name = `n${i + 1}`
    names.push(name)
    const a = outputs[reads[0]! % outputs.length]!
    const b = outputs[reads[1]! % outputs.length]!
    if (kind === 'add') {
      layers.set(name, additionLayer(name))
      connections.push([a.name, `${name}/in1`], [b.name, `${name}/in2`])
      outputs.push({ name, value: a.value.map((x, j) => x + b.value[j]!) })
    } else if (kind === 'split') {
      layers.set(name, splitLayer(name))
      connections.push([a.name, name])
      outputs.push({ name: `${name}/same`, value: a.value })
      outputs.push({ name: `${name}/double`, value: a.value.map((x) => 2 * x) })
    } else {
      layers.set(name, reluLayer({ name }))
      connections.push([a.name, name])
      outputs.push({ name, value: relu(a.value) })
    }
  })
  const order = names
    .map((name, i) => ({ name, place: places[i % places.length]! }))
    .sort((a, b) => a.place - b.place)
    .map(({ name }) => name)
  let net = dlnetwork()
  for (const name of order) net = net.addLayers(layers.get(name)!)
  for (const [source, destination] of connections) net = net.connectLayers(source, destination)
  return { net, outputs }
}

describe('random graphs', () => {
  const X = [-2, 0.5, 3]
  const array = () => dlarray(X, 'C')
  const storages = () => backendNamed('reference').memory().storages + backendNamed('wasm').memory().storages

  it('give every output its value, in any order of the layers, and free everything else', () => {
    fc.assert(
      fc.property(nodes, fc.array(fc.nat(100), { minLength: 5, maxLength: 15 }), (described, places) => {
        scope(() => {
          const { net, outputs } = build(described, places, X)
          const input = array()
          const ready = net.initialize(input)
          const names = outputs.map(({ name }) => name)
          const results = ready.predict<DlArray[]>(input, { outputs: names })
          outputs.forEach(({ name, value }, i) => {
            expect(Array.from(results[i]!.values()), name).toEqual(value)
          })
          for (const { name, value } of outputs)
            expect(Array.from(ready.predict(input, { outputs: name }).values()), name).toEqual(value)
          const free = outputs.filter(({ name }) => ready.outputNames.includes(name))
          expect(ready.outputNames).toHaveLength(free.length)
          expect(Array.from(input.values())).toEqual(X)
        })
      }),
      { numRuns: 60, seed: 7 },
    )
  })

  it('leave no storage behind', () => {
    const run = () =>
      fc.assert(
        fc.property(nodes, (described) => {
          scope(() => {
            const { net } = build(described, [1], X)
            const input = array()
            const ready = net.initialize(input)
            const before = storages()
            scope(() => void ready.predict<DlArray[]>(input))
            scope(() => void ready.forward(input))
            expect(storages()).toBe(before)
          })
        }),
        { numRuns: 20, seed: 8 },
      )
    run()
  })
})

describe('execution plans', () => {
  const plan = (net: DlNetwork, outputs = graphOutputs(net.content.graph)) =>
    planExecution(net.content.graph, graphInputs(net.content.graph), outputs)

  it('have one step for each layer that is needed, and say when slots are finished', () => {
    const net = dlnetwork([reluLayer({ name: 'a' }), reluLayer({ name: 'b' })]).addLayers(reluLayer({ name: 'c' }))
    expect(plan(net.connectLayers('a', 'c'))).toEqual({
      slots: 4,
      inputs: [0],
      outputs: [2, 3],
      steps: [
        { layer: 0, inputs: [0], outputs: [1], finished: [0] },
        { layer: 1, inputs: [1], outputs: [2], finished: [] },
        { layer: 2, inputs: [1], outputs: [3], finished: [1] },
      ],
    })
    // 'c' is a network of its own: its input is not asked for.
    const one = plan(net, [{ layer: 1, port: 0 }])
    expect(one.inputs).toEqual([0, undefined])
    expect(one.steps.map(({ layer }) => layer)).toEqual([0, 1])
  })

  it('go through ten thousand layers at once', () => {
    const count = 10_000
    const layer = reluLayer()
    const graph = {
      layers: Array.from({ length: count }, () => layer),
      // The last layer comes first.
      edges: Array.from({ length: count - 1 }, (_, i) => ({
        from: { layer: i + 1, port: 0 },
        to: { layer: i, port: 0 },
      })),
    }
    const started = performance.now()
    expect(topologicalOrder(graph, 'test')).toEqual(Array.from({ length: count }, (_, i) => count - 1 - i))
    expect(planExecution(graph, graphInputs(graph), graphOutputs(graph)).slots).toBe(count + 1)
    expect(performance.now() - started).toBeLessThan(5000)
  })
})

describe('initialization', () => {
  it('takes unknown extents of an input layer where no parameter depends on them', () => {
    const input = () => inputLayer([NaN, NaN, 3, NaN], 'SSCB')
    const net = dlnetwork([input(), convolution2dLayer(3, 2)])
    expect(net.initialized).toBe(true)
    expect(net.predict(dlarray(new Float32Array(75), [5, 5, 3, 1], 'SSCB')).size).toEqual([3, 3, 2, 1])
    expect(() => dlnetwork([input(), fullyConnectedLayer(2)])).toThrow(
      /layer 'fc'.*unknown\(S\) × unknown\(S\) × 3\(C\)/,
    )
    const example = networkDataLayout([5, 5, 3, NaN], 'SSCB')
    expect(dlnetwork([input(), fullyConnectedLayer(2)], example).learnables[0]!.value!.size).toEqual([2, 75])
  })

  it('says when parameters are larger than any memory', () => {
    expect(() => dlnetwork([imageInputLayer([1e5, 1e5, 3]), fullyConnectedLayer(1000)])).toThrow(MemoryError)
    expect(() => dlnetwork([imageInputLayer([1e5, 1e5, 3]), fullyConnectedLayer(1000)])).toThrow(/layer 'fc'/)
    expect(() => dlnetwork().initialize()).toThrow(NetworkError)
  })
})
