import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setBackend, startedBackends, wasmBackend } from '../../src/backends/current.js'
import { NetworkError, OptionError } from '../../src/errors.js'
import { convolution1dLayer, convolution2dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import type { Layer } from '../../src/layers/layer.js'
import { maxPooling1dLayer, maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { sequenceInputLayer } from '../../src/layers/sequence-input.js'
import { scope } from '../../src/memory/scope.js'
import { type DlNetwork, dlnetwork } from '../../src/network/dlnetwork.js'
import { planExecution } from '../../src/network/execution-plan.js'
import { setFusion } from '../../src/network/fusion.js'
import { graphInputs, graphOutputs } from '../../src/network/layer-graph.js'
import { times } from '../../src/operations/arithmetic.js'
import { dlarray } from '../../src/operations/dlarray.js'
import { RandomStream } from '../../src/operations/random.js'
import { sum } from '../../src/operations/sum.js'
import { expectClose } from '../support/close.js'
import { normals } from '../support/random.js'
import { additionLayer } from './test-layers.js'

function image(size: readonly number[], format = 'SSCB', type: 'single' | 'double' = 'single'): DlArray {
  const draw = normals(4)
  const count = size.reduce((a, b) => a * b, 1)
  return dlarray(
    Float64Array.from({ length: count }, () => draw()),
    size,
    format,
    { type },
  )
}

const usual = (): Layer[] => [
  imageInputLayer([14, 12, 2], { normalization: 'none' }),
  convolution2dLayer(3, 5, { name: 'conv' }),
  instanceNormalizationLayer({ name: 'norm' }),
  reluLayer({ name: 'relu' }),
  maxPooling2dLayer(2, { stride: 2, name: 'pool' }),
  fullyConnectedLayer(3, { name: 'fc' }),
]

const planOf = (net: DlNetwork, outputs = graphOutputs(net.content.graph)) =>
  planExecution(net.content.graph, graphInputs(net.content.graph), outputs)
const names = (net: DlNetwork, outputs?: ReturnType<typeof graphOutputs>) =>
  planOf(net, outputs).steps.map(({ layer, followers = [] }) =>
    [layer, ...followers].map((number) => net.content.graph.layers[number]!.name).join(' '),
  )

/** Launches of kernels by `run`. */
function launches(run: () => void): number {
  const before = wasmBackend().launches
  run()
  return wasmBackend().launches - before
}

/** Prediction, gradients of all learnables, and second derivatives through them. */
function measured(net: DlNetwork, X: DlArray) {
  const Y = net.predict(X).values()
  const gradients = dlfeval((traced: DlNetwork) => {
    const [output] = traced.forward(X).outputs
    return dlgradient(sum(times(output!, output!), 'all'), traced.learnables)
  }, net)
  return { Y, gradients: gradients.map(({ value }) => value!.values()) }
}

beforeAll(async () => {
  await wasmBackend().ready()
})

afterEach(() => {
  setFusion(true)
  setBackend('wasm')
})

describe('plans', () => {
  it('join convolution, normalization, activation and pooling in series', () => {
    expect(names(dlnetwork(usual()))).toEqual(['imageinput', 'conv norm relu pool', 'fc'])
    const parts: [Layer[], string[]][] = [
      [[reluLayer({ name: 'a' }), maxPooling2dLayer(2, { name: 'b' })], ['a b']],
      [
        [reluLayer({ name: 'a' }), reluLayer({ name: 'b' }), maxPooling2dLayer(2, { name: 'c' })],
        ['a', 'b c'],
      ],
      [
        [maxPooling2dLayer(2, { name: 'a' }), reluLayer({ name: 'b' })],
        ['a', 'b'],
      ],
      [
        [convolution2dLayer(3, 2, { name: 'a' }), convolution2dLayer(3, 2, { name: 'b' }), reluLayer({ name: 'c' })],
        ['a', 'b c'],
      ],
      [
        [convolution2dLayer(3, 2, { name: 'a', padding: 1, paddingValue: 'replicate' }), reluLayer({ name: 'b' })],
        ['a', 'b'],
      ],
      [[instanceNormalizationLayer({ name: 'a' }), reluLayer({ name: 'b' })], ['a b']],
    ]
    for (const [layers, expected] of parts) expect(names(dlnetwork(layers, { initialize: false }))).toEqual(expected)
  })

  it('do not go across what is asked for or read twice', () => {
    const net = dlnetwork(usual())
    expect(names(net, [{ layer: 3, port: 0 }])).toEqual(['imageinput', 'conv norm relu'])
    expect(
      names(net, [
        { layer: 2, port: 0 },
        { layer: 5, port: 0 },
      ]),
    ).toEqual(['imageinput', 'conv norm', 'relu pool', 'fc'])
    const branched = dlnetwork(usual().slice(0, 4)).addLayers(additionLayer('sum'))
    const both = branched.connectLayers('relu', 'sum/in1').connectLayers('norm', 'sum/in2')
    expect(names(both)).toEqual(['imageinput', 'conv norm', 'relu', 'sum'])
  })
})

describe('a network', () => {
  it.each([
    ['of images', () => dlnetwork(usual(), { seed: 1 }), [14, 12, 2, 3], 'SSCB'],
    [
      'of sequences',
      () =>
        dlnetwork(
          [
            sequenceInputLayer(3, { normalization: 'none', minLength: 12 }),
            convolution1dLayer(3, 4),
            instanceNormalizationLayer(),
            reluLayer(),
            maxPooling1dLayer(2),
          ],
          { seed: 1 },
        ),
      [3, 2, 12],
      'CBT',
    ],
  ] as const)('%s has the same results fused and unfused', (_, make, size, format) => {
    const net = make()
    const X = image(size, format)
    const fused = measured(net, X)
    setFusion(false)
    const plain = measured(net, X)
    expect(fused.Y).toEqual(plain.Y)
    fused.gradients.forEach((gradient, i) => {
      expectClose(gradient, plain.gradients[i]!, 2e-5, `gradient ${i}`, 1)
    })
  })

  it('launches fewer kernels fused, and as many as ever where layers are looked at', () => {
    const net = dlnetwork(usual())
    const X = image([14, 12, 2, 3])
    const fused = launches(() => void net.predict(X))
    const seen: string[] = []
    const looked = launches(() => {
      scope(() => {
        net.run([X], { training: false, random: new RandomStream(1), observe: (layer) => seen.push(layer) })
      })
    })
    setFusion(false)
    const plain = launches(() => void net.predict(X))
    expect(fused).toBeLessThan(plain)
    expect(looked).toBe(plain)
    expect(seen).toEqual(['imageinput', 'conv', 'norm', 'relu', 'pool', 'fc'])
  })

  it('gives results in between', () => {
    const net = dlnetwork(usual())
    const X = image([14, 12, 2, 3])
    const [norm, pool] = net.predict<DlArray[]>(X, { outputs: ['norm', 'pool'] })
    setFusion(false)
    const plain = net.predict<DlArray[]>(X, { outputs: ['norm', 'pool'] })
    expect(norm!.values()).toEqual(plain[0]!.values())
    expect(pool!.values()).toEqual(plain[1]!.values())
  })

  it('has derivatives of second order', () => {
    const net = dlnetwork(usual().slice(0, 5), { seed: 2 })
    const X = image([14, 12, 2, 1])
    const second = () =>
      dlfeval((x: DlArray) => {
        const [Y] = net.forward(x).outputs
        const first = dlgradient(sum(times(Y!, Y!), 'all'), x, { enableHigherDerivatives: true })
        return dlgradient(sum(times(first, first), 'all'), x)
      }, X).values()
    const fused = second()
    setFusion(false)
    expectClose(fused, second(), 2e-4)
  })

  it('computes doubles, and on the reference backend, layer by layer', () => {
    const net = dlnetwork(usual())
    const X = image([14, 12, 2, 1], 'SSCB', 'double')
    expect(launches(() => void net.predict(X))).toBeGreaterThanOrEqual(0)
    const single = net.predict(image([14, 12, 2, 1])).values()
    setBackend('reference')
    expectClose(net.predict(image([14, 12, 2, 1])).values(), single, 1e-5)
  })

  it('names the layer that does not fit, as ever', () => {
    const net = dlnetwork([convolution2dLayer(3, 5, { name: 'conv' }), reluLayer()], image([14, 12, 2, 1]))
    expect(() => net.predict(image([14, 12, 3, 1]))).toThrow(NetworkError)
    expect(() => net.predict(image([14, 12, 3, 1]))).toThrow(/conv/)
  })

  it('frees everything but the result', () => {
    const net = dlnetwork(usual())
    const count = () => startedBackends().reduce((total, backend) => total + backend.memory().storages, 0)
    scope(() => {
      const X = image([14, 12, 2, 3])
      const before = count()
      scope(() => void measured(net, X))
      expect(count()).toBe(before)
    })
  })

  it('takes true or false', () => {
    expect(() => setFusion('no' as unknown as boolean)).toThrow(OptionError)
  })
})
