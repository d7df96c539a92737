import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setThreads, startedBackends } from '../../src/backends/current.js'
import { averagePooling2dLayer } from '../../src/layers/average-pooling.js'
import { batchNormalizationLayer } from '../../src/layers/batch-normalization.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { leakyReluLayer } from '../../src/layers/leaky-relu.js'
import { reluLayer } from '../../src/layers/relu.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { scope } from '../../src/memory/scope.js'
import type { DlNetwork } from '../../src/network/dlnetwork.js'
import { setFusion } from '../../src/network/fusion.js'
import { deserializeNetwork, loadNetwork, saveNetwork, serializeNetwork } from '../../src/network/network-file.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, randn } from '../../src/operations/arrays/random.js'
import { times } from '../../src/operations/elementwise/arithmetic.js'
import { batchnorm } from '../../src/operations/normalization/batchnorm.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { readCheckpoint } from '../../src/training/checkpoint.js'
import { TrainingInterruptedError } from '../../src/training/training-error.js'
import { type TrainingOptionsArguments, trainingOptions } from '../../src/training/training-options.js'
import { trainnet } from '../../src/training/trainnet.js'
import { expectClose, SINGLE } from '../support/close.js'
import { message } from '../support/message.js'

// Layers with state: batch normalization.

let folder = ''
beforeEach(() => {
  setThreads(1)
  folder = mkdtempSync(join(tmpdir(), 'dlnet-state-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const small = () =>
  dlnetwork(
    [
      imageInputLayer([6, 6, 2], { normalization: 'none' }),
      convolution2dLayer(3, 4),
      batchNormalizationLayer({ meanDecay: 0.25, varianceDecay: 0.5 }),
      leakyReluLayer(0.2),
      averagePooling2dLayer(2, { stride: 2 }),
      fullyConnectedLayer(2),
    ],
    { seed: 1 },
  )

const images = (seed: number, count = 5) => dlarray(randn([6, 6, 2, count], { stream: new RandomStream(seed) }), 'SSCB')

const stateOf = (net: DlNetwork) => net.state.map(({ value }) => [...value!.values()])

describe('the state of a network', () => {
  it('is a table', () => {
    const net = small()
    expect(net.state.map(({ layer, parameter, value }) => [layer, parameter, value!.size])).toEqual([
      ['batchnorm', 'TrainedMean', [1, 1, 4]],
      ['batchnorm', 'TrainedVariance', [1, 1, 4]],
    ])
    expect(String(net.state)).toMatchInlineSnapshot(`
      "  2×3 table

             Layer           Parameter             Value
          ___________    _________________    _______________

          "batchnorm"    "TrainedMean"        {1×1×4 dlarray}
          "batchnorm"    "TrainedVariance"    {1×1×4 dlarray}"
    `)
    expect(String(net)).toContain('State: [2×3 table]')
    expect(stateOf(net)).toEqual([
      [0, 0, 0, 0],
      [1, 1, 1, 1],
    ])
  })

  it('is followed by forward, and used by predict', () => {
    const net = small()
    const X = images(3)
    const Z = net.predict<DlArray>(X, { outputs: 'conv' })
    const one = (values: number) => dlarray(new Float32Array(4).fill(values))
    const { outputs, state } = net.forward(X, { outputs: 'batchnorm' })
    expectClose(outputs[0]!.values(), batchnorm(Z, one(0), one(1)).values(), SINGLE)
    // forward changes nothing by itself
    expect(stateOf(net)).toEqual([
      [0, 0, 0, 0],
      [1, 1, 1, 1],
    ])
    expect(state.map(({ layer, parameter, value }) => [layer, parameter, value!.size])).toEqual(
      net.state.map(({ layer, parameter, value }) => [layer, parameter, value!.size]),
    )
    const before = net.predict<DlArray>(X, { outputs: 'batchnorm' }).values()
    expectClose(before, batchnorm(Z, one(0), one(1), one(0), one(1)).values(), SINGLE)
    net.state = state
    const [mean, variance] = state.map(({ value }) => value!)
    const after = net.predict<DlArray>(X, { outputs: 'batchnorm' }).values()
    expectClose(
      after,
      batchnorm(Z, one(0), one(1), dlarray(mean!.values()), dlarray(variance!.values())).values(),
      SINGLE,
    )
    expect(after).not.toEqual(before)
  })

  it('is the moving average of several steps', () => {
    const net = small()
    const means = [0, 0, 0, 0]
    const variances = [1, 1, 1, 1]
    for (let step = 0; step < 4; step++) {
      const X = images(step)
      const Z = net.predict<DlArray>(X, { outputs: 'conv' }).values()
      for (let c = 0; c < 4; c++) {
        const own = [...Z].filter((_, i) => Math.floor(i / 16) % 4 === c)
        const mu = own.reduce((a, b) => a + b, 0) / own.length
        means[c] = 0.25 * mu + 0.75 * means[c]!
        variances[c] = (0.5 * own.reduce((a, b) => a + (b - mu) ** 2, 0)) / own.length + 0.5 * variances[c]!
      }
      net.state = net.forward(X).state
    }
    const [mean, variance] = stateOf(net)
    expectClose(mean!, means, SINGLE)
    expectClose(variance!, variances, SINGLE)
  })

  it('comes out of dlfeval with the gradients, and holds no more memory', () => {
    const net = small()
    const storages = () => startedBackends().reduce((total, backend) => total + backend.memory().storages, 0)
    const X = images(2)
    const step = () =>
      scope(() => {
        const { gradients, state } = dlfeval((traced: DlNetwork) => {
          const { outputs, state } = traced.forward(X)
          return { gradients: dlgradient(sum(times(outputs[0]!, outputs[0]!), 'all'), traced.learnables), state }
        }, net)
        expect(gradients.map(({ layer, parameter }) => `${layer}/${parameter}`)).toContain('batchnorm/Scale')
        net.state = state
      })
    step()
    const before = storages()
    for (let i = 0; i < 3; i++) step()
    expect(storages()).toBe(before)
    const reference = small()
    for (let i = 0; i < 4; i++) reference.state = reference.forward(X).state
    expect(stateOf(net)).toEqual(stateOf(reference))
  })

  it('stays what it was where a layer is not computed', () => {
    const net = small()
    const { state } = net.forward(images(1), { outputs: 'conv' })
    expect(state.map(({ value }) => [...value!.values()])).toEqual(stateOf(net))
  })

  it('is replaced by rows of the same size only', () => {
    const net = small()
    const [mean] = net.state
    expect(
      message(() => {
        net.state = [{ ...mean!, value: dlarray([1, 2]) }]
      }),
    ).toMatchInlineSnapshot(
      `"NetworkError: dlnetwork.state: expected a list of { layer, parameter, value } like the network's own, the values dlarrays, but got 2 elements for the 4 of 'batchnorm/TrainedMean'. Take net.state and replace values."`,
    )
    expect(
      message(() => {
        net.state = [{ layer: 'batchnorm', parameter: 'Scale', value: dlarray([1, 2, 3, 4]) }]
      }),
    ).toMatchInlineSnapshot(
      `"NetworkError: dlnetwork.state: expected a list of { layer, parameter, value } like the network's own, the values dlarrays, but got 'batchnorm/Scale', which the network does not have. Take net.state and replace values."`,
    )
  })

  it('has no variance below 0 and no statistics that are not numbers', () => {
    const net = small()
    const before = stateOf(net)
    const [mean, variance] = net.state
    const assigned = (mu: number[], sigmaSq: number[]) => () => {
      net.state = [
        { ...mean!, value: dlarray(mu) },
        { ...variance!, value: dlarray(sigmaSq) },
      ]
    }
    expect(message(assigned([1, 2, 3, 4], [1, 2, -3, 4]))).toMatchInlineSnapshot(
      `"OptionError: layer 'batchnorm' (Batch Normalization: Batch normalization with 4 channels): expected variances of 0 or more for TrainedVariance, but got -3. Give the variance of each channel."`,
    )
    expect(message(assigned([1, 2, 3, 4], [1, NaN, 3, 4]))).toMatchInlineSnapshot(
      `"OptionError: layer 'batchnorm' (Batch Normalization: Batch normalization with 4 channels): expected variances of 0 or more for TrainedVariance, but got NaN. Give the variance of each channel."`,
    )
    expect(message(assigned([1, 2, 3, NaN], [1, 2, 3, 4]))).toMatchInlineSnapshot(
      `"OptionError: layer 'batchnorm' (Batch Normalization: Batch normalization with 4 channels): expected numbers for TrainedMean, but got NaN. Give the mean of each channel."`,
    )
    expect(message(() => batchNormalizationLayer({ trainedVariance: [1, NaN] }))).toMatchInlineSnapshot(
      `"OptionError: batchNormalizationLayer: expected variances of 0 or more for trainedVariance, but got NaN. Give the variance of each channel."`,
    )
    // Nothing was replaced, not even what would have fitted.
    expect(stateOf(net)).toEqual(before)
    assigned([1, 2, 3, 4], [0, 2, 3, 4])()
    expect(stateOf(net)).toEqual([
      [1, 2, 3, 4],
      [0, 2, 3, 4],
    ])
  })

  it.each(['fused', 'layer by layer'])('stays as it is where there are no observations: %s', (how) => {
    const net = small()
    net.state = net.forward(images(1)).state
    const empty = dlarray(new Float32Array(0), [6, 6, 2, 0], 'SSCB')
    setFusion(how === 'fused')
    try {
      const { outputs, state } = net.forward(empty)
      expect(outputs[0]!.size).toEqual([2, 0])
      expect(state.map(({ value }) => [...value!.values()])).toEqual(stateOf(net))
      const gradients = dlfeval((traced: DlNetwork) => {
        const { outputs } = traced.forward(empty)
        return dlgradient(sum(times(outputs[0]!, outputs[0]!), 'all'), traced.learnables)
      }, net)
      for (const { value } of gradients) expect(value!.values().every((one) => one === 0)).toBe(true)
    } finally {
      setFusion(true)
    }
  })

  it('is saved and loaded', async () => {
    const net = small()
    for (let i = 0; i < 3; i++) net.state = net.forward(images(i)).state
    const file = join(folder, 'net.safetensors')
    await saveNetwork(net, file)
    const loaded = await loadNetwork(file)
    expect(stateOf(loaded)).toEqual(stateOf(net))
    const X = images(9)
    expect(loaded.predict(X).values()).toEqual(net.predict(X).values())
    expect(serializeNetwork(loaded)).toEqual(serializeNetwork(net))
    // A network that is not initialized yet: what was given of it.
    const open = dlnetwork([batchNormalizationLayer({ trainedMean: [1, 2, 3] })])
    expect(deserializeNetwork(serializeNetwork(open)).state.map(({ value }) => value && [...value.values()])).toEqual([
      [1, 2, 3],
      undefined,
    ])
  })
})

// --- Training -------------------------------------------------------------------------------------------------------

function points(count: number, seed: number) {
  const stream = new RandomStream(seed)
  const T = Array.from({ length: count }, (_, i) => ['east', 'west'][i % 2]!)
  const values = new Float32Array(2 * count)
  T.forEach((label, i) => {
    values[i] = 5 + (label === 'east' ? 1 : -1) + 0.4 * stream.normal()
    values[i + count] = 0.01 * stream.normal()
  })
  return { X: { values, size: [count, 2] }, T }
}

const layers = () => [
  featureInputLayer(2),
  batchNormalizationLayer({ name: 'first' }),
  fullyConnectedLayer(6),
  batchNormalizationLayer({ name: 'second' }),
  reluLayer(),
  fullyConnectedLayer(2),
  softmaxLayer(),
]

const { X, T } = points(42, 1)
const validation = points(11, 2)
const common: TrainingOptionsArguments<'sgdm'> = {
  verbose: false,
  miniBatchSize: 8,
  maxEpochs: 3,
  seed: 3,
  shuffle: 'every-epoch',
  initialLearnRate: 0.05,
}
const train = (more: TrainingOptionsArguments<'sgdm'> = {}, net: Parameters<typeof trainnet>[1] | unknown = layers()) =>
  trainnet(X, T, net as DlNetwork, 'crossentropy', trainingOptions('sgdm', { ...common, ...more }))

describe('training', () => {
  it('keeps the state of every step', async () => {
    const given = dlnetwork(layers(), { seed: 4 })
    const { net } = await train({ maxEpochs: 20, learnRateSchedule: 'none' }, given)
    // Features without a layer in front: the moving averages of 5 batches an epoch are near those of the data.
    const [mean, variance] = stateOf(net)
    const column = [...X.values.subarray(0, 42)]
    const mu = column.reduce((a, b) => a + b, 0) / 42
    const sigmaSq = column.reduce((a, b) => a + (b - mu) ** 2, 0) / 42
    expect(mean![0]).toBeCloseTo(mu, 0)
    expect(Math.abs(variance![0]! - sigmaSq)).toBeLessThan(0.3 * sigmaSq)
    expect(variance![1]).toBeLessThan(1e-3)
    // The network that was given is as it was.
    expect(stateOf(given)).toEqual([
      [0, 0],
      [1, 1],
      [0, 0, 0, 0, 0, 0],
      [1, 1, 1, 1, 1, 1],
    ])
    const right = T.filter((label, i) => {
      const scores = net.predict(dlarray([[X.values[i]!], [X.values[i + 42]!]], 'CB')).values()
      return scores[0]! > scores[1]! === (label === 'east')
    })
    expect(right.length).toBeGreaterThan(38)
    const explicit = await train(
      { maxEpochs: 20, learnRateSchedule: 'none', batchNormalizationStatistics: 'moving' },
      dlnetwork(layers(), { seed: 4 }),
    )
    expect(stateOf(explicit.net)).toEqual(stateOf(net))
  })

  it('goes on from a checkpoint, and gives back the best network, with their state', async () => {
    const options = {
      validationData: [validation.X, validation.T] as [typeof validation.X, string[]],
      validationFrequency: 2,
      // once all are right, no later network is better
      metrics: 'accuracy' as const,
      objectiveMetricName: 'accuracy',
    }
    const whole = await train(options)
    await train({ ...options, checkpointPath: folder, checkpointFrequencyUnit: 'iteration' })
    const number = (file: string) => Number(file.split('__')[1])
    const files = readdirSync(folder).sort((a, b) => number(a) - number(b))
    for (const at of [1, 5, 9]) {
      const resumed = await train({ ...options, resume: join(folder, files[at]!) })
      expect(stateOf(resumed.net)).toEqual(stateOf(whole.net))
      expect(resumed.info.outputNetworkIteration).toBe(whole.info.outputNetworkIteration)
    }
    const best = whole.info.outputNetworkIteration
    expect(best).toBeGreaterThan(0)
    expect(best).toBeLessThan(15)
    const { arrays } = await readCheckpoint(join(folder, files[best - 1]!))
    expect(whole.net.state.map(({ layer, parameter }) => [...arrays[`state/${layer}/${parameter}`]!.values()])).toEqual(
      stateOf(whole.net),
    )
  })

  describe('with the statistics of the population', () => {
    /** Mean and variance of every channel, from what reaches the layer in mini-batches that its own training normalizes. */
    function expected(net: DlNetwork, batches: readonly DlArray[]): number[][] {
      const before = { first: 'featureinput', second: 'fc_1' }
      return Object.values(before).flatMap((outputs) => {
        const rows = batches.flatMap((batch) => {
          const flat = [...net.forward(batch, { outputs }).outputs[0]!.values()]
          const [channels = 1, count = 1] = net.forward(batch, { outputs }).outputs[0]!.size
          return Array.from({ length: count }, (_, n) => flat.slice(n * channels, (n + 1) * channels))
        })
        const mean = rows[0]!.map((_, c) => rows.reduce((sum, row) => sum + row[c]!, 0) / rows.length)
        const variance = mean.map((mu, c) => rows.reduce((sum, row) => sum + (row[c]! - mu) ** 2, 0) / rows.length)
        return [mean, variance]
      })
    }

    /** To the rounding of the elements, whose means may be near 0. */
    const expectAlike = (actual: readonly number[], values: readonly number[]) => {
      expect(actual).toHaveLength(values.length)
      for (const [i, value] of values.entries())
        expect(Math.abs(actual[i]! - value)).toBeLessThan(1e-6 * (1 + Math.abs(value)))
    }

    const column = (n: number) => [X.values[n]!, X.values[n + 42]!]
    /** In the order of the data, 8 observations each; the last 2 fill no mini-batch. */
    const inOrder = Array.from({ length: 5 }, (_, i) => {
      const numbers = Array.from({ length: 8 }, (_, k) => 8 * i + k)
      return dlarray(Float32Array.from(numbers.flatMap(column)), [2, numbers.length], 'CB')
    })
    const population = { batchNormalizationStatistics: 'population', shuffle: 'never' } as const

    it('has those of all mini-batches together; nothing else differs', async () => {
      const moving = await train({ shuffle: 'never' })
      const { net, info } = await train(population)
      expect(info.trainingHistory.loss).toEqual(moving.info.trainingHistory.loss)
      expect(net.learnables.map(({ value }) => [...value!.values()])).toEqual(
        moving.net.learnables.map(({ value }) => [...value!.values()]),
      )
      const state = stateOf(net)
      for (const [i, values] of expected(net, inOrder).entries()) {
        expectAlike(state[i]!, values)
        expect(stateOf(moving.net)[i]).not.toEqual(state[i])
      }
    })

    it('has them however training ended, but for a signal; and keeps no memory', async () => {
      const stored = () => startedBackends().reduce((sum, backend) => sum + backend.memory().storages, 0)
      const before = stored()
      const told = await train({ ...population, outputFcn: ({ iteration }) => iteration === 4 })
      for (const [i, values] of scope(() => expected(told.net, inOrder)).entries())
        expectAlike(stateOf(told.net)[i]!, values)
      const controller = new AbortController()
      const stop = ({ iteration }: { iteration: number }) => {
        if (iteration === 4) controller.abort()
      }
      const signalled = await train({ ...population, outputFcn: stop, signal: controller.signal })
      const moving = await train({ shuffle: 'never', outputFcn: ({ iteration }) => iteration === 4 })
      expect(stateOf(signalled.net)).toEqual(stateOf(moving.net))
      for (const { net } of [told, signalled, moving]) net.dispose()
      expect(stored()).toBe(before)
    })

    it('has those of the best network, and the same bits from a checkpoint', async () => {
      const options = {
        ...common,
        batchNormalizationStatistics: 'population',
        validationData: [validation.X, validation.T] as [typeof validation.X, string[]],
        validationFrequency: 2,
        metrics: 'accuracy' as const,
        objectiveMetricName: 'accuracy',
      } as const
      const whole = await train(options)
      expect(whole.info.outputNetworkIteration).toBeLessThan(15)
      await train({ ...options, checkpointPath: folder, maxEpochs: 2 })
      const resumed = await train({ ...options, resume: folder })
      expect(stateOf(resumed.net)).toEqual(stateOf(whole.net))
    })

    it('tells of data that cannot be read once more, with the trained network', async () => {
      let passes = 0
      const stream = {
        *[Symbol.iterator]() {
          if (passes++ >= 3) throw new Error('the tape has come to its end')
          for (const one of inOrder) yield { inputs: [one], targets: [one], observations: one.size[1]! }
        },
      }
      const layers = [batchNormalizationLayer(), fullyConnectedLayer(2)]
      const options = trainingOptions('sgdm', { ...common, ...population, maxEpochs: 2 })
      const error = await trainnet(stream, layers, 'mse', options).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(TrainingInterruptedError)
      expect((error as TrainingInterruptedError).info.trainingHistory.loss).toHaveLength(10)
      expect((error as TrainingInterruptedError).net.state).toHaveLength(2)
      expect(String(error)).toMatchInlineSnapshot(
        `"TrainingInterruptedError: trainnet: expected mini-batches from the data stream, for the statistics of batch normalization after training, but got its error: the tape has come to its end. Mend what gives the mini-batches; error.cause tells where it failed. error.net is the trained network with moving statistics."`,
      )
    })
  })
})
