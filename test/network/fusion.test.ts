import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setBackend, startedBackends, wasmBackend } from '../../src/backends/current.js'
import { NetworkError, OptionError } from '../../src/errors.js'
import { averagePooling2dLayer } from '../../src/layers/average-pooling.js'
import { batchNormalizationLayer } from '../../src/layers/batch-normalization.js'
import { convolution1dLayer, convolution2dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { globalAveragePooling2dLayer, globalMaxPooling2dLayer } from '../../src/layers/global-pooling.js'
import { groupNormalizationLayer } from '../../src/layers/group-normalization.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import type { Layer } from '../../src/layers/layer.js'
import { layerNormalizationLayer } from '../../src/layers/layer-normalization.js'
import { leakyReluLayer } from '../../src/layers/leaky-relu.js'
import { maxPooling1dLayer, maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { sequenceInputLayer } from '../../src/layers/sequence-input.js'
import { scope } from '../../src/memory/scope.js'
import type { DlNetwork } from '../../src/network/dlnetwork.js'
import { planExecution } from '../../src/network/execution-plan.js'
import { setFusion } from '../../src/network/fusion.js'
import { graphInputs, graphOutputs } from '../../src/network/layer-graph.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'
import { times } from '../../src/operations/elementwise/arithmetic.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { trainingOptions } from '../../src/training/training-options.js'
import { trainnet } from '../../src/training/trainnet.js'
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

  const image2d = imageInputLayer([16, 12, 2], { normalization: 'none' })
  const conv = () => convolution2dLayer(3, 6, { padding: 'same' })
  const pool2 = { stride: 2 }
  const chains: [string, Layer[]][] = [
    [
      'convolution, batch norm, ReLU, max',
      [conv(), batchNormalizationLayer(), reluLayer(), maxPooling2dLayer(2, pool2)],
    ],
    [
      'convolution, batch norm, leaky ReLU, average',
      [conv(), batchNormalizationLayer({ meanDecay: 0.3 }), leakyReluLayer(0.2), averagePooling2dLayer(2, pool2)],
    ],
    ['convolution, batch norm', [conv(), batchNormalizationLayer({ epsilon: 1e-3 })]],
    ['batch norm, ReLU', [batchNormalizationLayer(), reluLayer()]],
    ['batch norm, max', [batchNormalizationLayer({ varianceDecay: 0.5 }), maxPooling2dLayer(3)]],
    [
      'convolution, group norm, ReLU, max',
      [conv(), groupNormalizationLayer(3), reluLayer(), maxPooling2dLayer(2, pool2)],
    ],
    ['group norm, average', [groupNormalizationLayer('channel-wise'), averagePooling2dLayer(3, { padding: 1 })]],
    ['convolution, layer norm, leaky ReLU', [conv(), layerNormalizationLayer(), leakyReluLayer()]],
    [
      'layer norm, ReLU, average',
      [layerNormalizationLayer({ operationDimension: 'batch-excluded' }), reluLayer(), averagePooling2dLayer(2)],
    ],
    [
      'convolution, instance norm, leaky ReLU, average',
      [
        conv(),
        instanceNormalizationLayer(),
        leakyReluLayer(0.5),
        averagePooling2dLayer(3, { paddingValue: 'mean', padding: 1 }),
      ],
    ],
    ['instance norm, ReLU, global average', [instanceNormalizationLayer(), reluLayer(), globalAveragePooling2dLayer()]],
    ['convolution, ReLU, global maximum', [conv(), reluLayer(), globalMaxPooling2dLayer()]],
    ['convolution, average', [conv(), averagePooling2dLayer(2, pool2)]],
    ['leaky ReLU, max', [leakyReluLayer(), maxPooling2dLayer(2)]],
  ]

  it.each(chains)('of %s runs as one operation, with the results, gradients and states of its layers', (_, chain) => {
    const make = () => dlnetwork([image2d, ...chain, fullyConnectedLayer(3)], { seed: 3 })
    for (const observations of [3, 9]) {
      const net = make()
      expect(names(net)).toHaveLength(3)
      const X = image([16, 12, 2, observations])
      const batches = [X, times(X, X), X]
      /** Prediction after a state of its own, everything that training gives, and predicting traced. */
      const all = () => {
        const own = make()
        const states = batches.map((batch) => {
          const { outputs, state } = own.forward(batch)
          own.state = state
          return [...outputs, ...state.map(({ value }) => value!)].map((array) => array.values())
        })
        const inPrediction = dlfeval((x: DlArray) => dlgradient(sum(own.predict(x), 'all'), x), X).values()
        const kinds = own.state.map(({ layer, parameter, value }) => [layer, parameter, value!.size, value!.dims])
        return { ...measured(own, X), states, inPrediction, kinds }
      }
      setFusion(true)
      const fused = all()
      setFusion(false)
      const plain = all()
      expect(fused.kinds).toEqual(plain.kinds)
      expectClose(fused.Y, plain.Y, 1e-5, 'prediction')
      expectClose(fused.inPrediction, plain.inPrediction, 2e-5, 'gradient in prediction')
      fused.states.forEach((results, step) => {
        results.forEach((result, i) => {
          expectClose(result, plain.states[step]![i]!, 1e-5, `result ${i} of step ${step}`)
        })
      })
      fused.gradients.forEach((gradient, i) => {
        expectClose(gradient, plain.gradients[i]!, 2e-5, `gradient ${i}`, 1)
      })
    }
  })

  it.each(chains)('of %s launches fewer kernels fused', (_, chain) => {
    const net = dlnetwork([image2d, ...chain], { seed: 3 })
    const X = image([16, 12, 2, 9])
    const fused = launches(() => void net.predict(X))
    setFusion(false)
    expect(fused).toBeLessThan(launches(() => void net.predict(X)))
  })

  it('trains with batch normalization to the same weights and state', async () => {
    const layers = [
      image2d,
      conv(),
      batchNormalizationLayer(),
      reluLayer(),
      maxPooling2dLayer(2, pool2),
      fullyConnectedLayer(3),
    ]
    const X = image([16, 12, 2, 20])
    const T = image([3, 20], 'CB')
    const train = async () => {
      const options = trainingOptions('sgdm', {
        maxEpochs: 3,
        initialLearnRate: 1e-3,
        miniBatchSize: 8,
        verbose: false,
        shuffle: 'never',
      })
      const { net } = await trainnet(X, T, dlnetwork(layers, { seed: 3 }), 'mse', options)
      return [...net.learnables, ...net.state].map(({ value }) => value!.values())
    }
    const fused = await train()
    setFusion(false)
    const plain = await train()
    expect(fused).toHaveLength(8)
    fused.forEach((values, i) => {
      // what normalization takes off the bias again is rounding
      expectClose(values, plain[i]!, 1e-4, `parameter ${i}`, 0.1)
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
