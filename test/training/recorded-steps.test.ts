import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { setThreads, wasmBackend } from '../../src/backends/current.js'
import { memory } from '../../src/backends/memory.js'
import { inMemorySource } from '../../src/data/source.js'
import { averagePooling2dLayer } from '../../src/layers/average-pooling.js'
import { batchNormalizationLayer } from '../../src/layers/batch-normalization.js'
import { convolution1dLayer, convolution2dLayer } from '../../src/layers/convolution.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { groupNormalizationLayer } from '../../src/layers/group-normalization.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { inputLayer } from '../../src/layers/input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import type { Layer } from '../../src/layers/layer.js'
import { layerNormalizationLayer } from '../../src/layers/layer-normalization.js'
import { leakyReluLayer } from '../../src/layers/leaky-relu.js'
import { maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { sequenceInputLayer } from '../../src/layers/sequence-input.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { setFusion } from '../../src/network/fusion.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { setRecording } from '../../src/network/recorded-kinds.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'
import { plus, times } from '../../src/operations/elementwise/arithmetic.js'
import { crossentropy } from '../../src/operations/losses/crossentropy.js'
import { sum } from '../../src/operations/reductions/sum.js'
import type { Loss } from '../../src/training/losses.js'
import { type TrainingOptionsArguments, trainingOptions } from '../../src/training/training-options.js'
import { type Trainable, trainnet } from '../../src/training/trainnet.js'

type Options = TrainingOptionsArguments<'sgdm'>

/** A training to be run with recorded steps and without. */
interface Training {
  readonly net: () => Trainable
  readonly data: () => unknown[]
  readonly loss?: Loss
  readonly solver?: 'sgdm' | 'adam' | 'rmsprop'
  readonly options?: () => Options
}

const EXTENT = 10
const COUNT = 22

function images(count = COUNT, seed = 3) {
  const stream = new RandomStream(seed)
  const values = Uint8Array.from({ length: EXTENT * EXTENT * 2 * count }, () => Math.floor(256 * stream.uniform()))
  return { values, size: [EXTENT, EXTENT, 2, count] }
}

const labels = (count = COUNT) =>
  Array.from({ length: count }, (_, i) => ['one', 'two', 'three'][(i * 7 + (i % 4)) % 3]!)

/** A network like that of the documentation, with another normalization. */
const network = (normalization: () => Layer, more: readonly Layer[] = []) => [
  imageInputLayer([EXTENT, EXTENT, 2], { normalization: 'rescale-zero-one' }),
  convolution2dLayer(3, 4),
  normalization(),
  reluLayer(),
  maxPooling2dLayer(2, { stride: 2 }),
  ...more,
  fullyConnectedLayer(3),
  softmaxLayer(),
]

const bits = (values: Float32Array | Float64Array) => Buffer.from(values.slice().buffer).toString('base64')

/** Everything that a training gives, and how many of its steps were run again. */
async function outcome({ net, data, loss = 'crossentropy', solver = 'sgdm', options }: Training, isRecorded: boolean) {
  setRecording(isRecorded)
  const replay = vi.spyOn(wasmBackend(), 'replay')
  const given = { verbose: false, seed: 1, miniBatchSize: 8, maxEpochs: 4, shuffle: 'every-epoch', ...options?.() }
  const { net: trained, info } = await trainnet(
    ...(data() as [never, never]),
    net() as never,
    loss as never,
    trainingOptions(solver, given as never) as never,
  )
  const found = {
    learnables: trained.learnables.map(({ value }) => bits(value!.values())),
    state: trained.state.map(({ value }) => bits(value!.values())),
    training: structuredClone(info.trainingHistory),
    validation: structuredClone(info.validationHistory),
    iteration: info.outputNetworkIteration,
  }
  trained.dispose()
  const replays = replay.mock.calls.length
  replay.mockRestore()
  return { found, replays }
}

const iterations = 12

const page: Training = {
  net: () => network(instanceNormalizationLayer),
  data: () => [images(), labels()],
  options: () => ({ momentum: 0.8, l2Regularization: 0.01, metrics: 'accuracy' }),
}

const trainings: Record<string, Training & { fusion?: boolean; replays?: number }> = {
  "the page's network": page,
  'layer by layer': { ...page, fusion: false },
  'batch normalization, state, validation, best network': {
    net: () =>
      network(batchNormalizationLayer, [
        convolution2dLayer(2, 5, { padding: 'same' }),
        batchNormalizationLayer({ meanDecay: 0.3 }),
        leakyReluLayer(),
      ]),
    data: () => [images(), labels()],
    solver: 'adam',
    options: () => ({
      validationData: [images(9, 4), labels(9)],
      validationFrequency: 2,
      outputNetwork: 'best-validation',
      gradientThreshold: 0.5,
      gradientThresholdMethod: 'global-l2norm',
      metrics: ['accuracy', 'auc'],
    }),
  },
  'batch normalization, layer by layer': {
    net: () => network(batchNormalizationLayer),
    data: () => [images(), labels()],
    fusion: false,
    options: () => ({ gradientThreshold: 0.2 }),
  },
  // Filters of one tap are packed where the step before left the state, so a run must not read the state there.
  'batch normalization behind filters of one tap': {
    net: () => [
      inputLayer([20, 2, Number.NaN], 'SCB'),
      convolution1dLayer(1, 2),
      batchNormalizationLayer(),
      fullyConnectedLayer(2),
    ],
    data: () => {
      const stream = new RandomStream(13)
      const random = (size: number[], format: string) =>
        dlarray(
          Float32Array.from({ length: size.reduce((a, b) => a * b) }, () => stream.normal()),
          size,
          format,
        )
      const batches = [1, 2, 3].map(() => ({
        inputs: [random([20, 2, 4], 'SCB')],
        targets: [random([2, 4], 'CB')],
        observations: 4,
      }))
      return [{ [Symbol.iterator]: () => batches[Symbol.iterator]() }]
    },
    loss: 'mse',
  },
  'group and layer normalization': {
    net: () => [
      imageInputLayer([EXTENT, EXTENT, 2], { normalization: 'zscore' }),
      convolution2dLayer(3, 4, { stride: 2 }),
      groupNormalizationLayer(2),
      leakyReluLayer(0.1),
      averagePooling2dLayer(2, { stride: 2 }),
      layerNormalizationLayer(),
      fullyConnectedLayer(3),
      softmaxLayer(),
    ],
    data: () => [images(), labels()],
    solver: 'rmsprop',
    options: () => ({ gradientThreshold: 0.01, gradientThresholdMethod: 'absolute-value' }),
  },
  'numbers as targets': {
    net: () => [featureInputLayer(4), fullyConnectedLayer(5), reluLayer(), fullyConnectedLayer(2)],
    data: () => {
      const stream = new RandomStream(8)
      const numbers = (channels: number) =>
        dlarray(
          Float32Array.from({ length: channels * COUNT }, () => stream.normal()),
          [channels, COUNT],
          'CB',
        )
      return [numbers(4), numbers(2)]
    },
    loss: 'huber',
    options: () => ({ metrics: 'rmse', learnRateSchedule: 'piecewise', learnRateDropPeriod: 1 }),
  },
  'sequences of many lengths': {
    net: () => [sequenceInputLayer(2), fullyConnectedLayer(6), reluLayer(), fullyConnectedLayer(1)],
    data: () => {
      const stream = new RandomStream(9)
      const lists = (channels: number) =>
        Array.from({ length: COUNT }, (_, i) => {
          const length = 3 + (i % 4)
          return {
            values: Float32Array.from({ length: length * channels }, () => stream.normal()),
            size: [length, channels],
          }
        })
      return [lists(2), lists(1)]
    },
    loss: 'mse',
    options: () => ({ maxEpochs: 8 }),
  },
  'a stream whose mini-batches lie in many places': {
    net: () => [featureInputLayer(4), fullyConnectedLayer(2)],
    data: () => {
      const stream = new RandomStream(10)
      const array = (channels: number) =>
        dlarray(
          Float32Array.from({ length: channels * 6 }, () => stream.normal()),
          [channels, 6],
          'CB',
        )
      // In one of them input and target share their memory, in another there are no more of the observations.
      const batches = [1, 2, 3, 4].map(() => ({ inputs: [array(4)], targets: [array(2)], observations: 6 }))
      return [{ [Symbol.iterator]: () => batches[Symbol.iterator]() }]
    },
    loss: 'mae',
    replays: 14,
  },
  'inputs that are their own targets': {
    net: () => [featureInputLayer(3), fullyConnectedLayer(3)],
    data: () => {
      const stream = new RandomStream(11)
      const batches = [1, 2, 3].map(() => {
        const X = dlarray(
          Float32Array.from({ length: 15 }, () => stream.normal()),
          [3, 5],
          'CB',
        )
        return { inputs: [X], targets: [X], observations: 5 }
      })
      return [{ [Symbol.iterator]: () => batches[Symbol.iterator]() }]
    },
    loss: 'mse',
    replays: 0,
  },
  'a loss function': {
    ...page,
    loss: (Y, T) => plus(crossentropy(Y, T), times(sum(times(Y, Y), 'all'), 0.01)),
    replays: 0,
  },
  'a normalization function': {
    net: () => {
      let calls = 0
      const normalization = (X: Parameters<typeof times>[0]) => times(X, 1 / (255 + calls++))
      return [imageInputLayer([EXTENT, EXTENT, 2], { normalization }), fullyConnectedLayer(3), softmaxLayer()]
    },
    data: () => [images(), labels()],
    replays: 0,
  },
  'class numbers, which are checked in every step': { ...page, loss: 'index-crossentropy', replays: 0 },
  'several inputs and outputs': {
    net: () => {
      let net = dlnetwork([featureInputLayer(3, { name: 'a' }), fullyConnectedLayer(2, { name: 'fa' })], {
        initialize: false,
      })
      net = net.addLayers([inputLayer([4, Number.NaN], 'CB', { name: 'b' }), fullyConnectedLayer(2, { name: 'fb' })])
      return net.initialize({ seed: 2 })
    },
    data: () => {
      const stream = new RandomStream(12)
      const array = (channels: number) =>
        dlarray(
          Float32Array.from({ length: channels * 6 }, () => stream.normal()),
          [channels, 6],
          'CB',
        )
      const batches = [1, 2, 3].map(() => ({
        inputs: [array(3), array(4)],
        targets: [array(2), array(2)],
        observations: 6,
      }))
      return [{ [Symbol.iterator]: () => batches[Symbol.iterator]() }]
    },
    loss: (A, B, S, T) => plus(sum(times(A!, S!), 'all'), sum(times(B!, T!), 'all')),
    replays: 0,
  },
}

afterEach(() => {
  setFusion(true)
  setRecording(true)
  vi.restoreAllMocks()
})

describe.each([1, 2])('on %d threads', (threads) => {
  beforeEach(async () => {
    setThreads(threads)
    await wasmBackend().ready()
  })

  it.each(Object.entries(trainings))(
    'steps run again give the same bits: %s',
    async (_, { fusion, replays, ...training }) => {
      setFusion(fusion ?? true)
      const plain = await outcome(training, false)
      const recorded = await outcome(training, true)
      expect(plain.replays).toBe(0)
      if (replays === undefined) expect(recorded.replays).toBeGreaterThan(3)
      else expect(recorded.replays).toBe(replays)
      expect(recorded.found.training.loss.every(Number.isFinite)).toBe(true)
      expect(recorded.found).toEqual(plain.found)
    },
  )
})

describe('a recorded step', () => {
  beforeEach(() => setThreads(1))

  /** Mini-batches of two sizes: a source of one's own may end with one that is not full. */
  const ragged: Training = {
    ...page,
    data: () => [inMemorySource(images(), labels(), { inputFormat: 'SSCB', miniBatchSize: 8, labels: 'onehot' })],
  }

  it('comes from the second iteration of each size', async () => {
    const { replays, found } = await outcome(ragged, true)
    expect(found.training.iteration).toHaveLength(iterations)
    // Eight of full mini-batches and four of smaller ones, each less the first two.
    expect(replays).toBe(8 - 2 + (4 - 2))
  })

  /** What a training leaves behind: networks that were not disposed of hold the statistics of their inputs. */
  const leftBy = async (training: Training, isRecorded: boolean) => {
    const before = memory()
    await outcome(training, isRecorded).catch((error) => error.net.dispose())
    const { arrays, bytesInUse, storages } = memory()
    return [arrays - before.arrays, bytesInUse - before.bytesInUse, storages - before.storages]
  }

  it('gives its memory back', async () => {
    for (const training of [page, trainings['batch normalization, layer by layer']!])
      expect(await leftBy(training, true)).toEqual(await leftBy(training, false))
    await outcome(page, true)
    // What the heap took for the first training is enough for all that follow.
    const fresh = wasmBackend().bytesFresh
    await outcome(page, true)
    expect(wasmBackend().bytesFresh).toBe(fresh)
  })

  it('gives its memory back when training is interrupted', async () => {
    let calls = 0
    const outputFcn = ({ iteration }: { iteration: number }) => {
      if (iteration !== 7) return false
      calls++
      throw new Error('enough')
    }
    const training = { ...page, options: () => ({ outputFcn }) }
    expect(await leftBy(training, true)).toEqual(await leftBy(training, false))
    expect(calls).toBe(2)
  })

  it('tells of a loss that is not finite as any other does', async () => {
    const messageOf = async (isRecorded: boolean) => {
      try {
        await outcome({ ...page, options: () => ({ initialLearnRate: 1e20, maxEpochs: 20 }) }, isRecorded)
      } catch (error) {
        const { net, message, info } = error as Error & {
          net: ReturnType<typeof dlnetwork>
          info: { trainingHistory: { loss: number[] } }
        }
        const values = net.learnables.map(({ value }) => bits(value!.values()))
        net.dispose()
        return { message, values, loss: info.trainingHistory.loss }
      }
      throw new Error('it converged')
    }
    const plain = await messageOf(false)
    expect(plain.message).toContain('beginning in')
    expect(await messageOf(true)).toEqual(plain)
  })

  it('finds a gradient that is not finite beside a finite loss', async () => {
    const training: Training = {
      net: () => [featureInputLayer(2), fullyConnectedLayer(2)],
      data: () => {
        const batch = (scale: number) => ({
          inputs: [dlarray([1e20 * scale, 1, 1, 1], [2, 2], 'CB')],
          targets: [dlarray([1, 1, 1, 1], [2, 2], 'CB')],
          observations: 2,
        })
        const batches = [...[1, 2, 3, 4].map(() => batch(1e-20)), batch(1e18)]
        return [{ [Symbol.iterator]: () => batches[Symbol.iterator]() }]
      },
      loss: 'mae',
      options: () => ({ gradientThreshold: 1e-3, initialLearnRate: 0, maxEpochs: 1 }),
    }
    const run = (isRecorded: boolean) => outcome(training, isRecorded).then(String, String)
    expect(await run(true)).toEqual(await run(false))
  })

  it('keeps its bits whatever an output function does', async () => {
    const meddling = (): Options => {
      const held: { dispose(): void }[] = []
      return {
        maxEpochs: 12,
        outputFcn({ iteration, state }) {
          if (state === 'done') for (const array of held) array.dispose()
          if (state !== 'iteration') return false
          if (iteration % 5 === 1) setThreads(1 + (iteration % 3))
          if (iteration === 9) setFusion(false)
          if (iteration === 17) setFusion(true)
          // The heap grows, and blocks of the sizes that steps use are taken and freed.
          held.push(dlarray(new Float32Array(iteration % 4 === 0 ? 3e6 : 1600).fill(Number.NaN)))
          if (iteration % 2 === 0) held.shift()!.dispose()
          return false
        },
      }
    }
    for (const training of [page, trainings['batch normalization, state, validation, best network']!]) {
      const more = { ...training, options: () => ({ ...training.options?.(), ...meddling() }) }
      const plain = await outcome(more, false)
      const recorded = await outcome(more, true)
      expect(recorded.replays).toBeGreaterThan(10)
      expect(recorded.found).toEqual(plain.found)
    }
  })

  it('leaves alone what metrics were given', async () => {
    const kept: { values: () => Float32Array | Float64Array; dispose(): void }[] = []
    const seen: string[] = []
    const metric = (Y: Parameters<typeof times>[0]) => {
      const copy = times(Y as never, 1)
      seen.push(bits((Y as typeof copy).values()))
      kept.push(Y as typeof copy)
      return sum(copy, 'all').item()
    }
    const options = (): Options => ({ metrics: metric as never })
    const plain = await outcome({ ...page, options }, false)
    const ofPlain = seen.splice(0)
    const recorded = await outcome({ ...page, options }, true)
    expect(recorded.found).toEqual(plain.found)
    expect(seen).toEqual(ofPlain)
    for (const array of kept) expect(() => array.values()).toThrow('freed')
  })

  it('does not disturb a training beside it', async () => {
    const plain = await outcome(page, false)
    const beside = await Promise.all([outcome(page, true), outcome(page, true)])
    for (const { found } of beside) expect(found).toEqual(plain.found)
  })

  it('makes way where memory is short', async () => {
    const plain = await outcome(ragged, false)
    const options = (isShort: boolean): Options => ({
      outputFcn({ iteration, state }) {
        if (!isShort || state !== 'iteration' || iteration !== 7) return false
        // More than there is: what is refused first gives recordings back, then fails.
        expect(() => wasmBackend().allocate(2 ** 30, 'float32')).toThrow('allocate')
        return false
      },
    })
    const training = (isShort: boolean) => ({ ...ragged, options: () => ({ ...page.options!(), ...options(isShort) }) })
    const recorded = await outcome(training(true), true)
    expect(recorded.replays).toBe(3)
    expect(recorded.found).toEqual(plain.found)
    expect(await leftBy(training(true), true)).toEqual(await leftBy(training(false), false))
  })
})
