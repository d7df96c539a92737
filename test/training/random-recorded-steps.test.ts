import fc from 'fast-check'
import { afterEach, expect, it, vi } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { setThreads, wasmBackend } from '../../src/backends/current.js'
import { memory } from '../../src/backends/memory.js'
import { batchNormalizationLayer } from '../../src/layers/batch-normalization.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { groupNormalizationLayer } from '../../src/layers/group-normalization.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import type { Layer } from '../../src/layers/layer.js'
import { layerNormalizationLayer } from '../../src/layers/layer-normalization.js'
import { leakyReluLayer } from '../../src/layers/leaky-relu.js'
import { maxPooling2dLayer } from '../../src/layers/max-pooling.js'
import { reluLayer } from '../../src/layers/relu.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { scope } from '../../src/memory/scope.js'
import { setFusion } from '../../src/network/fusion.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { setRecording } from '../../src/network/recorded-kinds.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, rng } from '../../src/operations/arrays/random.js'
import { crossentropy } from '../../src/operations/losses/crossentropy.js'
import type { Loss } from '../../src/training/losses.js'
import { trainingOptions } from '../../src/training/training-options.js'
import { trainnet } from '../../src/training/trainnet.js'

// Trainings drawn at random, each run with recorded steps and predictions and without: everything that comes out has the same bits.

const EXTENT = 6
const CLASSES = ['one', 'two', 'three']

const normalizations: Record<string, (() => Layer) | undefined> = {
  none: undefined,
  batch: () => batchNormalizationLayer({ meanDecay: 0.3, varianceDecay: 0.2 }),
  instance: instanceNormalizationLayer,
  group: () => groupNormalizationLayer(2),
  layer: layerNormalizationLayer,
}
const namesOf = <T extends object>(table: T) => fc.constantFrom(...(Object.keys(table) as (keyof T & string)[]))

const losses: Record<string, () => Loss> = {
  crossentropy: () => 'crossentropy',
  weighted: () => (Y: DlArray, T: DlArray) => crossentropy(Y, T, { weights: dlarray([0.5, 2, 1]), weightsFormat: 'C' }),
  mse: () => 'mse',
}

const schedules = { none: 'none', piecewise: 'piecewise', cosine: 'cosine', polynomial: 'polynomial' } as const
const pictures = {
  bytes: (count: number) => Uint8Array.from({ length: count }, (_, i) => (i * 37 + (i >> 3) * 11) % 256),
  floats: (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * 0.7) * 90 + 100),
}

const plan = fc.record({
  normalization: namesOf(normalizations),
  inputs: fc.constantFrom('none', 'zerocenter', 'zscore', 'rescale-zero-one', 'rescale-symmetric'),
  hasSecondBlock: fc.boolean(),
  pictures: namesOf(pictures),
  loss: namesOf(losses),
  solver: fc.constantFrom('sgdm', 'adam', 'rmsprop'),
  count: fc.integer({ min: 5, max: 20 }),
  miniBatchSize: fc.integer({ min: 1, max: 8 }),
  schedule: namesOf(schedules),
  threshold: fc.constantFrom('none', 'l2norm', 'global-l2norm', 'absolute-value'),
  validation: fc.integer({ min: 0, max: 5 }),
  shuffle: fc.constantFrom('never', 'once', 'every-epoch'),
  statistics: fc.constantFrom('population', 'moving'),
  decay: fc.constantFrom(0, 1e-3),
  metrics: fc.constantFrom([], ['accuracy'], ['auc', 'rmse']),
  output: fc.constantFrom('nothing', 'predicts', 'trains'),
  fusion: fc.boolean(),
  threads: fc.constantFrom(1, 2),
})
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never

function layersOf({ normalization, inputs, hasSecondBlock }: Plan): Layer[] {
  const normalizing = () => normalizations[normalization]?.() ?? []
  const second = [convolution2dLayer(2, 4, { padding: 'same' }), normalizing(), leakyReluLayer()].flat()
  return [
    imageInputLayer([EXTENT, EXTENT, 2], { normalization: inputs as 'none' }),
    convolution2dLayer(3, 4),
    normalizing(),
    reluLayer(),
    maxPooling2dLayer(2, { stride: 2 }),
    ...(hasSecondBlock ? second : []),
    fullyConnectedLayer(3),
    softmaxLayer(),
  ].flat()
}

const bits = (values: Float32Array | Float64Array) => Buffer.from(values.slice().buffer).toString('base64')

async function outcome(drawn: Plan, isRecorded: boolean) {
  setRecording(isRecorded)
  const { count, validation, threshold, schedule } = drawn
  const size = (observations: number) => [EXTENT, EXTENT, 2, observations]
  const X = { values: pictures[drawn.pictures](EXTENT * EXTENT * 2 * count), size: size(count) }
  const labels = (observations: number) =>
    Array.from({ length: observations }, (_, i) => CLASSES[(i * 7 + (i % 4)) % 3]!)
  const numbers = (observations: number) => ({
    values: Float32Array.from({ length: 3 * observations }, (_, i) => Math.cos(i)),
    size: [observations, 3],
  })
  const targets = drawn.loss === 'mse' ? numbers : labels
  const probe = dlarray(
    Float32Array.from({ length: EXTENT * EXTENT * 2 }, (_, i) => (i * 13) % 200),
    size(1),
    'SSCB',
  )
  rng(7)
  const seen: unknown[] = []
  let depth = 0
  const other = dlnetwork(layersOf(drawn))
  const outputFcn = async ({ iteration }: { iteration: number }) => {
    if (drawn.output === 'predicts') seen.push(scope(() => bits(other.predict(probe).values())))
    if (drawn.output === 'trains' && depth === 0 && iteration % 5 === 3) {
      depth++
      seen.push((await run(2)).info.trainingHistory.loss)
      depth--
    }
  }
  const run = async (maxEpochs: number) => {
    const hasMetrics = drawn.metrics.length > 0 && drawn.loss !== 'mse'
    const options = {
      verbose: false,
      seed: 3,
      maxEpochs,
      miniBatchSize: drawn.miniBatchSize,
      shuffle: drawn.shuffle,
      initialLearnRate: 0.01,
      learnRateSchedule: schedules[schedule],
      l2Regularization: drawn.decay,
      batchNormalizationStatistics: drawn.statistics,
      ...(hasMetrics && { metrics: drawn.metrics }),
      ...(threshold !== 'none' && { gradientThreshold: 0.05, gradientThresholdMethod: threshold }),
      ...(validation > 0 && {
        validationData: [{ values: X.values.slice(0, 72 * validation), size: size(validation) }, targets(validation)],
        validationFrequency: 2,
        outputNetwork: 'best-validation',
      }),
      ...(drawn.output !== 'nothing' && depth === 0 && { outputFcn }),
    }
    return trainnet(
      X,
      targets(count),
      layersOf(drawn),
      losses[drawn.loss]!(),
      trainingOptions(drawn.solver as 'sgdm', options as never),
    )
  }
  const { net, info } = await run(4)
  const found = {
    learnables: net.learnables.map(({ value }) => bits(value!.values())),
    state: net.state.map(({ value }) => bits(value!.values())),
    training: structuredClone(info.trainingHistory),
    validation: structuredClone(info.validationHistory),
    iteration: info.outputNetworkIteration,
    prediction: scope(() => bits(net.predict(probe).values())),
    seen,
  }
  net.dispose()
  other.dispose()
  probe.dispose()
  return found
}

afterEach(() => {
  setRecording(true)
  setFusion(true)
  setThreads(1)
  vi.restoreAllMocks()
})

it('recorded and computed in full, trainings drawn at random have the same bits', async () => {
  const replay = vi.spyOn(wasmBackend(), 'replay')
  await fc.assert(
    fc.asyncProperty(plan, async (drawn) => {
      setFusion(drawn.fusion)
      setThreads(drawn.threads)
      await wasmBackend().ready()
      const plain = await outcome(drawn, false)
      expect(await outcome(drawn, true)).toEqual(plain)
      expect(plain.training.loss.every(Number.isFinite)).toBe(true)
    }),
    { seed: 20, numRuns: 36 },
  )
  // Most of them do have steps that run again.
  expect(replay.mock.calls.length).toBeGreaterThan(200)
}, 60_000)

it('a network that draws random numbers in training is never run again, and memory comes back', async () => {
  const before = memory().bytesInUse
  const stream = new RandomStream(1)
  const replay = vi.spyOn(wasmBackend(), 'replay')
  const noise = (X: DlArray) =>
    dlarray(
      Float32Array.from(X.values(), (x) => x + stream.normal()),
      [...X.size],
      X.dims,
    )
  const { net } = await trainnet(
    { values: pictures.floats(72 * 12), size: [EXTENT, EXTENT, 2, 12] },
    Array.from({ length: 12 }, (_, i) => CLASSES[i % 3]!),
    [imageInputLayer([EXTENT, EXTENT, 2], { normalization: noise }), fullyConnectedLayer(3), softmaxLayer()],
    'crossentropy',
    trainingOptions('sgdm', { verbose: false, miniBatchSize: 4, maxEpochs: 3 }),
  )
  expect(replay).not.toHaveBeenCalled()
  net.dispose()
  expect(memory().bytesInUse).toBe(before)
})
