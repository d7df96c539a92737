import { existsSync, readFileSync, rmSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { setThreads, startedBackends } from '../../src/backends/current.js'
import { categorical } from '../../src/data/categorical.js'
import { arrayDatastore, combine } from '../../src/data/datastore.js'
import type { MiniBatch } from '../../src/data/minibatch.js'
import { inMemorySource } from '../../src/data/source.js'
import { DimensionError, DlnetError, NetworkError, OptionError, TrainingError } from '../../src/errors.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { reluLayer } from '../../src/layers/relu.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream, rng } from '../../src/operations/arrays/random.js'
import { plus, times } from '../../src/operations/elementwise/arithmetic.js'
import { crossentropy } from '../../src/operations/losses/crossentropy.js'
import { mse } from '../../src/operations/losses/mse.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { InputStatistics } from '../../src/training/input-statistics.js'
import { trainingLoss } from '../../src/training/losses.js'
import { minibatchpredict } from '../../src/training/minibatchpredict.js'
import { testnet } from '../../src/training/testnet.js'
import { TrainingInterruptedError } from '../../src/training/training-error.js'
import {
  type OutputFcnInfo,
  type TrainingOptionsArguments,
  trainingOptions,
  type ValidationData,
} from '../../src/training/training-options.js'
import { trainnet } from '../../src/training/trainnet.js'
import { expectClose } from '../support/close.js'

/** Two features, three classes around different points: 40 observations, rows first as features are. */
function points(count = 40, seed = 5) {
  const stream = new RandomStream(seed)
  const labels = Array.from({ length: count }, (_, i) => ['east', 'north', 'west'][i % 3]!)
  const values = new Float32Array(2 * count)
  labels.forEach((label, i) => {
    values[i] = { east: 2, north: 0, west: -2 }[label]! + 0.5 * stream.normal()
    values[i + count] = (label === 'north' ? 2 : 0) + 0.5 * stream.normal()
  })
  return { X: { values, size: [count, 2] }, T: labels }
}

const layers = () => [featureInputLayer(2), fullyConnectedLayer(8), reluLayer(), fullyConnectedLayer(3), softmaxLayer()]

type Given = TrainingOptionsArguments<'sgdm'>
const quiet = { verbose: false, seed: 1, miniBatchSize: 8, maxEpochs: 3 } as const
const sgdm = (more: Given = {}) => trainingOptions('sgdm', { ...quiet, ...more })

async function train(more: Given = {}, { X, T } = points()) {
  return trainnet(X, T, layers(), 'crossentropy', sgdm(more))
}

const parametersOf = (net: { learnables: readonly { value: DlArray | undefined }[] }) =>
  net.learnables.map(({ value }) => value!.values())

beforeEach(() => setThreads(1))

// First, as long as no other test has left arrays to the collector.
describe('memory and time', () => {
  it('memory is flat', async () => {
    const held = () => startedBackends().map((backend) => backend.memory().storages)
    const counts: number[][] = []
    const outputFcn = ({ state, iteration }: OutputFcnInfo) => {
      if (state === 'iteration' && (iteration === 10 || iteration === 400)) counts.push(held())
    }
    const before = held()
    const { net } = await train({ maxEpochs: 80, outputFcn, metrics: 'accuracy' })
    expect(counts.length).toBe(2)
    expect(counts[1]).toEqual(counts[0])
    net.dispose()
    expect(held()).toEqual(before)
  })

  it('others get their turn while training runs', async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const began = performance.now()
    await train({ maxEpochs: 1e6, signal: AbortSignal.timeout(300) })
    clearInterval(timer)
    expect(turns).toBeGreaterThan((performance.now() - began) / 100)
  })
})

describe('a training', () => {
  it('learns, and tells what happened', async () => {
    const { net, info } = await train({ maxEpochs: 20, initialLearnRate: 0.05, metrics: 'accuracy' })
    const { trainingHistory, validationHistory } = info
    expect(trainingHistory.iteration).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    expect(trainingHistory.epoch.slice(0, 7)).toEqual([1, 1, 1, 1, 1, 2, 2])
    expect(trainingHistory.learnRate.every((rate) => rate === 0.05)).toBe(true)
    expect(trainingHistory.loss.at(-1)).toBeLessThan(0.3 * trainingHistory.loss[0]!)
    expect(trainingHistory.metrics.accuracy!.at(-1)).toBeGreaterThan(80)
    expect(validationHistory.iteration).toEqual([])
    expect(info.outputNetworkIteration).toBe(100)
    expect(info.stopReason).toBe('Max epochs completed')
    expect(String(info)).toContain('TrainingHistory: [100×5 table]')
    expect(net.initialized).toBe(true)
    const scores = net.predict<DlArray>(dlarray([[2], [0]], 'CB'))
    expect([...scores.values()].indexOf(Math.max(...scores.values()))).toBe(0)
  })

  it('leaves the layers and the network it is given as they are', async () => {
    const given = dlnetwork(layers(), { seed: 3 })
    const before = parametersOf(given)
    const { X, T } = points()
    const { net } = await trainnet(X, T, given, 'crossentropy', sgdm())
    expect(parametersOf(given)).toEqual(before)
    expect(parametersOf(net)).not.toEqual(before)
    const list = layers()
    await trainnet(X, T, list, 'crossentropy', sgdm())
    expect(list[1]!).toMatchObject({ weights: undefined })
  })

  it('begins with the parameters of a network', async () => {
    const { X, T } = points()
    const first = await trainnet(X, T, layers(), 'crossentropy', sgdm({ maxEpochs: 1 }))
    const rateZero = sgdm({ initialLearnRate: 1e-30, maxEpochs: 1, l2Regularization: 0 })
    const again = await trainnet(X, T, first.net, 'crossentropy', rateZero)
    expect(parametersOf(again.net)).toEqual(parametersOf(first.net))
  })

  it('leaves out what does not fill the last mini-batch, and uses all where there is not one', async () => {
    const seen: number[] = []
    const loss = (Y: DlArray, T: DlArray) => {
      seen.push(Y.size[1]!)
      return crossentropy(Y, T)
    }
    const { X, T } = points(20)
    const { info } = await trainnet(X, T, layers(), loss, sgdm({ maxEpochs: 2 }))
    expect(seen).toEqual([8, 8, 8, 8])
    expect(info.trainingHistory.iteration.length).toBe(4)
    seen.length = 0
    await trainnet(X, T, layers(), loss, sgdm({ maxEpochs: 2, miniBatchSize: 32 }))
    expect(seen).toEqual([20, 20])
    // A source of one's own says itself what becomes of them.
    seen.length = 0
    const source = inMemorySource(X, T, { inputFormat: 'BC', miniBatchSize: 8, labels: 'onehot' })
    await trainnet(source, layers(), loss, sgdm({ maxEpochs: 1 }))
    expect(seen).toEqual([8, 8, 4])
  })

  it('leaves out others in each epoch that is shuffled, and validates and measures with all', async () => {
    const X = { values: Float32Array.from({ length: 20 }, (_, i) => i), size: [20, 1] }
    const net = [featureInputLayer(1, { normalization: 'zerocenter' }), fullyConnectedLayer(1)]
    const seen = (shuffle: 'every-epoch' | 'never') => {
      const targets = new Set<number>()
      const loss = (Y: DlArray, T: DlArray) => {
        for (const value of T.values()) targets.add(value)
        return mse(Y, T)
      }
      const options = trainingOptions('sgdm', { maxEpochs: 20, miniBatchSize: 8, shuffle, seed: 1, verbose: false })
      return trainnet(
        X,
        Array.from(X.values, (x) => [x]),
        net,
        loss,
        options,
      ).then(({ net }) => {
        expect((net.layers[0] as unknown as { mean: DlArray }).mean.item()).toBe(9.5)
        return targets.size
      })
    }
    expect(await seen('never')).toBe(16)
    expect(await seen('every-epoch')).toBe(20)
  })

  it('gives the same bits for the same seed, for any number of threads', async () => {
    const first = await train()
    setThreads(3)
    const second = await train()
    setThreads(1)
    expect(parametersOf(second.net)).toEqual(parametersOf(first.net))
    expect(second.info.trainingHistory.loss).toEqual(first.info.trainingHistory.loss)
    const other = await train({ seed: 2 })
    expect(parametersOf(other.net)).not.toEqual(parametersOf(first.net))
  })

  it('draws from the stream of rng without a seed', async () => {
    rng(7)
    const first = await train({ seed: undefined })
    const second = await train({ seed: undefined })
    rng(7)
    const third = await train({ seed: undefined })
    expect(parametersOf(third.net)).toEqual(parametersOf(first.net))
    expect(parametersOf(second.net)).not.toEqual(parametersOf(first.net))
  })

  it('reports the loss before the update, without the penalty', async () => {
    const { X, T } = points(8)
    const weights = dlarray(
      [
        [100, 0],
        [0, 100],
      ],
      { type: 'single' },
    )
    const list = [featureInputLayer(2), fullyConnectedLayer(2, { weights, bias: dlarray([0, 0]) })]
    const targets = { values: new Float32Array(16), size: [8, 2] }
    const { info } = await trainnet(
      X,
      targets,
      list,
      'mse',
      sgdm({ maxEpochs: 1, shuffle: 'never', l2Regularization: 10 }),
    )
    const expected = X.values.reduce((total, x) => total + (100 * x) ** 2, 0) / 8
    expect(info.trainingHistory.loss[0]! / expected).toBeCloseTo(1, 5)
    expect(T.length).toBe(8)
  })
})

describe('shuffle', () => {
  async function orders(shuffle: 'once' | 'never' | 'every-epoch') {
    const X = { values: Float32Array.from({ length: 6 }, (_, i) => i), size: [6, 1] }
    const seen: number[] = []
    const loss = (Y: DlArray, T: DlArray) => {
      seen.push(T.item())
      return sum(times(Y, 0), 'all')
    }
    const list = [featureInputLayer(1, { normalization: 'none' }), fullyConnectedLayer(1)]
    await trainnet(X, X, list, loss, sgdm({ shuffle, miniBatchSize: 1, maxEpochs: 3 }))
    return [seen.slice(0, 6), seen.slice(6, 12), seen.slice(12)]
  }
  const sorted = (list: number[] | undefined) => [...list!].sort()

  it('never', async () => {
    const all = await orders('never')
    for (const order of all) expect(order).toEqual([0, 1, 2, 3, 4, 5])
  })
  it('once', async () => {
    const [first, second, third] = await orders('once')
    expect(first).not.toEqual([0, 1, 2, 3, 4, 5])
    expect(sorted(first)).toEqual([0, 1, 2, 3, 4, 5])
    expect([second, third]).toEqual([first, first])
  })
  it('every epoch', async () => {
    const [first, second, third] = await orders('every-epoch')
    for (const order of [first, second, third]) expect(sorted(order)).toEqual([0, 1, 2, 3, 4, 5])
    expect(second).not.toEqual(first)
    expect(third).not.toEqual(second)
  })
})

describe('validation', () => {
  const { X, T } = points(13, 9)
  const validationData = [X, T] as const

  it('happens at iteration 0, every so often, and at the end', async () => {
    const { info } = await train({ validationData, validationFrequency: 4, metrics: 'accuracy' })
    expect(info.validationHistory.iteration).toEqual([0, 4, 8, 12, 15])
    expect(info.validationHistory.metrics.accuracy!.length).toBe(5)
    expect(info.validationHistory.loss[4]).toBeLessThan(info.validationHistory.loss[0]!)
  })

  it('is the mean over all observations, in prediction mode', async () => {
    const { net, info } = await train({ validationData, outputNetwork: 'last-iteration' })
    const features = dlarray(X.values, X.size, 'BC')
    const codes = categorical(T).codes
    const oneHot = new Float32Array(39)
    T.forEach((_, i) => {
      oneHot[3 * i + codes[i]! - 1] = 1
    })
    const loss = crossentropy(net.predict(features), dlarray(oneHot, [3, 13], 'CB'))
    expect(info.validationHistory.loss.at(-1)).toBeCloseTo(loss.item(), 5)
  })

  it('does not change the training', async () => {
    const without = await train()
    const validated = await train({ validationData, validationFrequency: 1, outputNetwork: 'last-iteration' })
    expect(parametersOf(validated.net)).toEqual(parametersOf(without.net))
  })

  /** Learns for some iterations and then gets worse again: the learn rate becomes negative nowhere, but too large. */
  const rising = { learnRateSchedule: (_: number, { iteration }: { iteration: number }) => (iteration < 8 ? 0.05 : 3) }

  it('returns the best network', async () => {
    const { net, info } = await train({ ...rising, maxEpochs: 4, validationData, validationFrequency: 1 })
    const { loss, iteration } = info.validationHistory
    const best = loss.indexOf(Math.min(...loss))
    expect(best).toBeLessThan(loss.length - 1)
    expect(info.outputNetworkIteration).toBe(iteration[best])
    const stopped = await train({ ...rising, maxEpochs: 4, outputFcn: (now) => now.iteration === iteration[best] })
    expect(parametersOf(net)).toEqual(parametersOf(stopped.net))
    const last = await train({
      ...rising,
      maxEpochs: 4,
      validationData,
      validationFrequency: 1,
      outputNetwork: 'last-iteration',
    })
    expect(last.info.outputNetworkIteration).toBe(20)
    expect(parametersOf(last.net)).not.toEqual(parametersOf(net))
  })

  it('stops when patience is over', async () => {
    const { info } = await train({
      ...rising,
      maxEpochs: 30,
      validationData,
      validationFrequency: 1,
      validationPatience: 3,
    })
    expect(info.stopReason).toBe('Validation patience met')
    const { loss } = info.validationHistory
    const smallest = Math.min(...loss.slice(0, -3))
    for (const one of loss.slice(-3)) expect(one).toBeGreaterThanOrEqual(smallest)
    expect(info.trainingHistory.iteration.length).toBeLessThan(150)
  })

  it('judges by a metric when told to', async () => {
    const { info } = await train({
      ...rising,
      maxEpochs: 4,
      validationData,
      validationFrequency: 1,
      metrics: 'accuracy',
      objectiveMetricName: 'accuracy',
    })
    const { metrics, iteration } = info.validationHistory
    const best = metrics.accuracy!.indexOf(Math.max(...metrics.accuracy!))
    expect(info.outputNetworkIteration).toBe(iteration[best])
  })

  it('has the classes of the training data', async () => {
    const few = { X: { values: Float32Array.from([2, -2, 0, 0]), size: [2, 2] }, T: ['west', 'north'] }
    const { info } = await train({ validationData: [few.X, few.T], maxEpochs: 1 })
    expect(info.validationHistory.loss.length).toBe(2)
    await expect(train({ validationData: [few.X, ['west', 'south']] })).rejects.toThrow(
      /validationData.*among east, north, west, but got 'south' at element 2/,
    )
  })

  it('may be a datastore', async () => {
    const store = combine(arrayDatastore(X), arrayDatastore(T))
    const { info } = await train({ validationData: store, maxEpochs: 1 })
    const { info: expected } = await train({ validationData, maxEpochs: 1 })
    expect(info.validationHistory).toEqual(expected.validationHistory)
  })

  it('is named by errors about it', async () => {
    const wide = { values: new Float32Array(39), size: [13, 3] }
    const wrong: ValidationData[] = [
      [X, T.slice(1)],
      [wide, T],
      [X, { values: new Float32Array(13), size: [13, 1] }],
      [[], []],
      { *[Symbol.iterator]() {} },
      arrayDatastore(X),
    ]
    for (const given of wrong) {
      const error: unknown = await train({ validationData: given }).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(DlnetError)
      expect((error as Error).message).toMatch(/^trainnet \(validationData\): /)
    }
    const training = points()
    await expect(train({ validationData }, { X: training.X, T: training.T.slice(1) })).rejects.toThrow(/^trainnet: /)
  })
})

describe('what a run shows', () => {
  it('prints the table', async () => {
    const lines: string[] = []
    const { X, T } = points(13, 9)
    await train({
      verbose: true,
      progress: false,
      verboseFrequency: 10,
      validationData: [X, T],
      validationFrequency: 6,
      log: (line) => lines.push(line),
    })
    const rows = lines.slice(2, -1).map((line) => line.trim().split(/\s+/))
    expect(lines[0]).toBe('    Iteration    Epoch    TimeElapsed    LearnRate    TrainingLoss    ValidationLoss')
    expect(lines[1]).toBe('    _________    _____    ___________    _________    ____________    ______________')
    expect(rows.map(([iteration]) => iteration)).toEqual(['0', '1', '6', '10', '12', '15'])
    expect(rows.map((row) => row.length)).toEqual([5, 5, 6, 5, 6, 6])
    expect(rows.map((row) => row[1])).toEqual(['0', '1', '2', '2', '3', '3'])
    expect(lines.at(-1)).toBe('Training stopped: Max epochs completed')
  })

  it('prints the last row when it stops in between, and once', async () => {
    const lines: string[] = []
    await train({
      verbose: true,
      progress: false,
      log: (line) => lines.push(line),
      outputFcn: (now) => now.iteration === 7,
    })
    expect(lines.slice(2, -1).map((line) => line.trim().split(/\s+/)[0])).toEqual(['1', '7'])
    expect(lines.at(-1)).toBe('Training stopped: Stopped by output function')
    const few: string[] = []
    await train({ verbose: true, progress: false, log: (line) => few.push(line), verboseFrequency: 5 })
    expect(few.slice(2, -1).map((line) => line.trim().split(/\s+/)[0])).toEqual(['1', '5', '10', '15'])
  })

  it('names the page before the table, whose first row follows its headings', async () => {
    const lines: string[] = []
    await train({ verbose: true, progress: false, plots: 'training-progress', log: (line) => lines.push(line) })
    rmSync(/^Training progress: file:\/\/(.*\.html)$/.exec(lines[0]!)![1]!)
    expect(lines[2]).toMatch(/^[ _]+$/)
    expect(lines[3]!.trim()).toMatch(/^1 /)
  })

  it('metrics without a value are NaN, and those of no number an error', async () => {
    const { net, info } = await train({
      metrics: function undefinedSometimes() {
        return Number.NaN
      },
    })
    expect(info.trainingHistory.metrics.undefinedSometimes!.every(Number.isNaN)).toBe(true)
    const metric = { name: 'own', reset() {}, update() {}, evaluate: () => undefined as never }
    const told = /^metric own: expected a number from evaluate\(\), but got undefined/
    await expect(train({ metrics: metric })).rejects.toThrow(told)
    const { X, T } = points()
    await expect(testnet(net, X, T, metric)).rejects.toThrow(told)
    net.dispose()
  })

  it('a network that was freed is called that', async () => {
    const { net } = await train()
    net.dispose()
    const { X, T } = points()
    for (const [call, work] of [
      ['trainnet', () => trainnet(X, T, net, 'crossentropy', sgdm())],
      ['testnet', () => testnet(net, X, T, 'accuracy')],
      ['minibatchpredict', () => minibatchpredict(net, X)],
      ['dlnetwork.layers', async () => net.layers],
    ] as const)
      await expect(work()).rejects.toThrow(
        `${call}: expected a network that is in use, but got one whose memory was freed`,
      )
  })

  it('prints nothing when it is told to be quiet', async () => {
    const log = vi.fn()
    await train({ log })
    expect(log).not.toHaveBeenCalled()
  })

  it('tells output functions at the start, at each iteration and at the end', async () => {
    const told: OutputFcnInfo[] = []
    const { X, T } = points(13, 9)
    const { info } = await train({
      maxEpochs: 1,
      metrics: 'accuracy',
      validationData: [X, T],
      validationFrequency: 2,
      outputFcn: [(now) => void told.push(now), () => false],
    })
    expect(told.map(({ state }) => state)).toEqual(['start', ...Array(5).fill('iteration'), 'done'])
    expect(told[0]).toMatchObject({ iteration: 0, epoch: 0, learnRate: 0.01, trainingLoss: undefined })
    expect(told[2]).toMatchObject({
      iteration: 2,
      epoch: 1,
      trainingLoss: info.trainingHistory.loss[1],
      validationLoss: info.validationHistory.loss[1],
      trainingMetrics: { accuracy: info.trainingHistory.metrics.accuracy![1] },
    })
    expect(told[3]!.validationLoss).toBeUndefined()
    expect(told[3]!.timeElapsed).toBeGreaterThanOrEqual(told[2]!.timeElapsed)
  })

  it('keeps a history for each function among the metrics', async () => {
    const { info } = await train({
      maxEpochs: 1,
      metrics: [
        () => 1,
        () => 2,
        function half() {
          return 0.5
        },
      ],
    })
    expect(info.trainingHistory.metrics).toEqual({
      metric_1: Array(5).fill(1),
      metric_2: Array(5).fill(2),
      half: Array(5).fill(0.5),
    })
    const one = await train({ maxEpochs: 1, metrics: [() => 3] })
    expect(one.info.trainingHistory.metrics).toEqual({ metric: Array(5).fill(3) })
    const later = (async () => 1) as never
    await expect(train({ metrics: later })).rejects.toThrow(/a number or a scalar array, but got a promise/)
  })

  it('stops when an output function says so', async () => {
    const { info } = await train({ outputFcn: ({ iteration }) => iteration === 4 })
    expect(info.stopReason).toBe('Stopped by output function')
    expect(info.trainingHistory.iteration).toEqual([1, 2, 3, 4])
    expect(info.outputNetworkIteration).toBe(4)
    const later = await train({ outputFcn: async ({ iteration }) => iteration === 2 })
    expect(later.info.trainingHistory.iteration).toEqual([1, 2])
    const none = await train({ outputFcn: ({ state }) => state === 'start' })
    expect(none.info.trainingHistory.iteration).toEqual([])
  })

  it('writes a page with the curves', async () => {
    const lines: string[] = []
    await train({ plots: 'training-progress', log: (line) => lines.push(line) })
    const file = /^Training progress: file:\/\/(.*\.html)$/.exec(lines[0]!)![1]!
    expect(existsSync(file)).toBe(true)
    const page = readFileSync(file, 'utf8')
    rmSync(file)
    expect(page).toContain('stopped: Max epochs completed')
    expect(page).not.toContain('http-equiv="refresh"')
  })
})

describe('a signal', () => {
  it('stops within one iteration', async () => {
    const controller = new AbortController()
    const { info, net } = await train({
      maxEpochs: 1000,
      signal: controller.signal,
      outputFcn: ({ iteration }) => {
        if (iteration === 6) controller.abort()
      },
    })
    expect(info.stopReason).toBe('Stopped by signal')
    expect(info.trainingHistory.iteration.length).toBe(6)
    expect(net.initialized).toBe(true)
  })

  it('comes through while training runs, as timers do', async () => {
    const { info } = await train({ maxEpochs: 1e6, signal: AbortSignal.timeout(60) })
    expect(info.stopReason).toBe('Stopped by signal')
    expect(info.trainingHistory.iteration.length).toBeGreaterThan(1)
  })

  it('before the start gives the network at the start', async () => {
    const { info, net } = await train({ signal: AbortSignal.abort() })
    expect(info.stopReason).toBe('Stopped by signal')
    expect(info.outputNetworkIteration).toBe(0)
    expect(net.initialized).toBe(true)
  })

  it('does not wait for a stream that hangs', async () => {
    const stream = {
      async *[Symbol.asyncIterator](): AsyncIterator<MiniBatch> {
        yield batch([1, 2], [1, 0, 0])
        yield batch([1, 2], [1, 0, 0])
        await new Promise(() => undefined)
      },
    }
    const { info } = await trainnet(
      stream,
      [featureInputLayer(2, { normalization: 'none' }), fullyConnectedLayer(3), softmaxLayer()],
      'crossentropy',
      sgdm({ signal: AbortSignal.timeout(60) }),
    )
    expect(info.stopReason).toBe('Stopped by signal')
    expect(info.trainingHistory.iteration.length).toBeGreaterThanOrEqual(1)
  })
})

function batch(x: number[], t: number[]): MiniBatch {
  return {
    inputs: [dlarray(Float32Array.from(x), [x.length, 1], 'CB')],
    targets: [dlarray(Float32Array.from(t), [t.length, 1], 'CB')],
    observations: 1,
  }
}

describe('arrays of a stream', () => {
  const kept = () => [batch([1, 2], [1, 0, 0]), batch([-1, 2], [0, 1, 0]), batch([0, 1], [0, 0, 1])]
  const list = () => [featureInputLayer(2), fullyConnectedLayer(3), softmaxLayer()]

  it('stay as they are: the same batches may come in every pass', async () => {
    const batches = kept()
    const waiting = {
      async *[Symbol.asyncIterator]() {
        for (const one of batches) yield one
      },
    }
    const stream = { [Symbol.iterator]: () => batches[Symbol.iterator]() }
    const { net, info } = await trainnet(stream, list(), 'crossentropy', sgdm({ validationData: waiting }))
    const again = await trainnet(waiting, list(), 'crossentropy', sgdm({ validationData: stream }))
    expect(again.info.trainingHistory).toEqual(info.trainingHistory)
    expect(info.trainingHistory.iteration.length).toBe(9)
    // Without an input layer sizes come from the first batch.
    await trainnet(stream, [fullyConnectedLayer(3)], 'mse', sgdm())
    expect(await testnet(net, stream, 'accuracy')).toBe(await testnet(net, stream, 'accuracy'))
    expect((await minibatchpredict(net, stream)).size).toEqual([3, 3])
    expect(batches.map(({ inputs }) => [...inputs[0]!.values()])).toEqual([
      [1, 2],
      [-1, 2],
      [0, 1],
    ])
  })

  it('may be freed or filled anew by the stream after its yield', async () => {
    const stream = {
      *[Symbol.iterator]() {
        for (const one of kept()) {
          yield one
          for (const array of [...one.inputs, ...one.targets]) array.dispose()
        }
      },
    }
    const batches = kept()
    const same = { [Symbol.iterator]: () => batches[Symbol.iterator]() }
    const { info } = await trainnet(stream, list(), 'crossentropy', sgdm())
    const { info: expected } = await trainnet(same, list(), 'crossentropy', sgdm())
    expect(info.trainingHistory).toEqual(expected.trainingHistory)
  })

  it('are not held on to', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const held = () => startedBackends().reduce((sum, backend) => sum + backend.memory().storages, 0)
    const stream = {
      *[Symbol.iterator]() {
        for (let i = 0; i < 60; i++) yield batch([i / 60, 1], [1, 0])
      },
    }
    const counts: number[] = []
    const outputFcn = async ({ iteration }: OutputFcnInfo) => {
      if (iteration !== 10 && iteration !== 60) return
      for (let turn = 0; turn < 3; turn++) {
        collect()
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      counts.push(held())
    }
    const { signal } = new AbortController()
    await trainnet(stream, [fullyConnectedLayer(2)], 'mse', sgdm({ maxEpochs: 1, outputFcn, signal }))
    expect(counts[1]! - counts[0]!).toBeLessThan(20)
  })
})

describe('data and networks', () => {
  it('streams of mini-batches, anew for each epoch, without an input layer', async () => {
    const stream = {
      *[Symbol.iterator]() {
        for (let i = 0; i < 3; i++) yield batch([i, 1], [1, 0])
      },
    }
    const { net, info } = await trainnet(stream, [fullyConnectedLayer(2), softmaxLayer()], 'crossentropy', sgdm())
    expect(info.trainingHistory.epoch).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3])
    expect(net.learnables[0]!.value!.size).toEqual([2, 2])
  })

  it('validates at the end of a stream of unknown length', async () => {
    const stream = {
      *[Symbol.iterator]() {
        for (let i = 0; i < 3; i++) yield batch([i, 1], [1, 0])
      },
    }
    const { info } = await trainnet(
      stream,
      [fullyConnectedLayer(2), softmaxLayer()],
      'crossentropy',
      sgdm({ maxEpochs: 1, validationData: stream }),
    )
    expect(info.validationHistory.iteration).toEqual([0, 3])
  })

  it('uint8 images and byte labels', async () => {
    const stream = new RandomStream(2)
    const values = Uint8Array.from({ length: 6 * 6 * 3 * 10 }, () => stream.integer(256))
    const T = Uint8Array.from({ length: 10 }, (_, i) => i % 2)
    const list = [
      imageInputLayer([6, 6, 3]),
      convolution2dLayer(3, 4),
      instanceNormalizationLayer(),
      reluLayer(),
      fullyConnectedLayer(2),
      softmaxLayer(),
    ]
    const { net, info } = await trainnet(
      { values, size: [6, 6, 3, 10] },
      T,
      list,
      'crossentropy',
      sgdm({ maxEpochs: 30, miniBatchSize: 5 }),
    )
    expect(info.trainingHistory.loss.at(-1)).toBeLessThan(0.5 * info.trainingHistory.loss[0]!)
    const mean = (net.layers[0] as unknown as { mean: DlArray }).mean
    expect(mean.size).toEqual([1, 1, 3])
    const expected = [0, 1, 2].map((c) => {
      let total = 0
      for (let n = 0; n < 10; n++) for (let i = 0; i < 36; i++) total += values[i + 36 * (c + 3 * n)]!
      return total / 360
    })
    expectClose(mean.values(), expected, 1e-6)
  })

  it('keeps given statistics when told so', async () => {
    const { X, T } = points()
    const list = () => [
      featureInputLayer(2, { normalization: 'zerocenter', mean: [5, 6] }),
      fullyConnectedLayer(3),
      softmaxLayer(),
    ]
    const meanOf = async (resetInputNormalization: boolean) => {
      const { net } = await trainnet(X, T, list(), 'crossentropy', sgdm({ resetInputNormalization }))
      return (net.layers[0] as unknown as { mean: DlArray }).mean.values()
    }
    expect([...(await meanOf(false))]).toEqual([5, 6])
    const means = [0, 40].map((from) => X.values.subarray(from, from + 40).reduce((a, b) => a + b) / 40)
    expectClose(await meanOf(true), means, 1e-6)
  })

  it('factors of parameters: a factor of 0 freezes, for rate and penalty', async () => {
    const { X, T } = points()
    const net = dlnetwork(layers(), { seed: 1 }).setLearnRateFactor('fc_1/Weights', 0)
    const { net: trained } = await trainnet(X, T, net, 'crossentropy', sgdm())
    const [weights, bias] = parametersOf(net)
    const after = parametersOf(trained)
    expect(after[0]).toEqual(weights)
    expect(after[1]).not.toEqual(bias)
    const frozen = await trainnet(X, T, net, 'crossentropy', sgdm({ l2Regularization: 0 }))
    const penalized = await trainnet(X, T, net, 'crossentropy', sgdm({ l2Regularization: 0.5 }))
    expect(parametersOf(frozen.net)[2]).not.toEqual(parametersOf(penalized.net)[2])
  })

  it('clips gradients', async () => {
    const { X, T } = points()
    const step = async (more: Given) => {
      const start = dlnetwork(layers(), { seed: 1 })
      const options = sgdm({ maxEpochs: 1, miniBatchSize: 40, l2Regularization: 0, initialLearnRate: 1, ...more })
      const { net } = await trainnet(X, T, start, 'crossentropy', options)
      const before = parametersOf(start)
      return parametersOf(net).map((list, i) => list.map((value, k) => value - before[i]![k]!))
    }
    const norm = (list: ArrayLike<number>) => Math.hypot(...Array.from(list))
    for (const change of await step({ gradientThreshold: 0.01 })) expect(norm(change)).toBeLessThan(0.0101)
    const global = await step({ gradientThreshold: 0.01, gradientThresholdMethod: 'global-l2norm' })
    expect(norm(global.flatMap((list) => [...list]))).toBeCloseTo(0.01, 5)
    const absolute = await step({ gradientThreshold: 0.01, gradientThresholdMethod: 'absolute-value' })
    expect(Math.max(...absolute.flatMap((list) => [...list].map(Math.abs)))).toBeCloseTo(0.01, 5)
  })

  it('follows the learn-rate schedule', async () => {
    const { info } = await train({ learnRateSchedule: 'piecewise', learnRateDropFactor: 0.5, learnRateDropPeriod: 1 })
    expect([...new Set(info.trainingHistory.learnRate)]).toEqual([0.01, 0.005, 0.0025])
  })

  it('adam and rmsprop learn too', async () => {
    const { X, T } = points()
    for (const solver of ['adam', 'rmsprop'] as const) {
      const options = trainingOptions(solver, { ...quiet, maxEpochs: 10, initialLearnRate: 0.01 })
      const { info } = await trainnet(X, T, layers(), 'crossentropy', options)
      expect(info.trainingHistory.loss.at(-1)).toBeLessThan(0.7 * info.trainingHistory.loss[0]!)
    }
  })
})

describe('losses by name', () => {
  const Y = dlarray(
    [
      [0.2, 0.5],
      [0.8, 0.5],
    ],
    'CB',
    { type: 'double' },
  )
  const T = dlarray(
    [
      [0, 1],
      [1, 0],
    ],
    'CB',
    { type: 'double' },
  )
  const value = (name: string, targets = T) => trainingLoss(name, 'trainnet').compute([Y], [targets]).item()
  it('have the formulas of MATLAB', () => {
    expect(value('crossentropy')).toBeCloseTo(-(Math.log(0.8) + Math.log(0.5)) / 2, 12)
    expect(value('binary-crossentropy')).toBeCloseTo(-(2 * Math.log(0.8) + 2 * Math.log(0.5)) / 2, 12)
    for (const name of ['mse', 'mean-squared-error', 'l2loss']) expect(value(name)).toBeCloseTo((0.08 + 0.5) / 2, 12)
    for (const name of ['mae', 'mean-absolute-error', 'l1loss']) expect(value(name)).toBeCloseTo((0.4 + 1) / 2, 12)
    expect(value('huber')).toBeCloseTo((0.04 + 0.25) / 2, 12)
    const classes = dlarray([[2, 1]], 'CB', { type: 'double' })
    expect(value('index-crossentropy', classes)).toBeCloseTo(value('crossentropy'), 12)
    expect(value('CrossEntropy')).toBe(value('crossentropy'))
  })
  it('train with class numbers as with names', async () => {
    const { X, T: names } = points()
    const named = await trainnet(X, names, layers(), 'crossentropy', sgdm())
    const index = await trainnet(X, names, layers(), 'index-crossentropy', sgdm())
    expect(index.info.trainingHistory.loss).toEqual(named.info.trainingHistory.loss)
  })
  it('regression', async () => {
    const X = { values: Float32Array.from({ length: 32 }, (_, i) => i / 16 - 1), size: [32, 1] }
    const targets = { values: X.values.map((x) => 3 * x + 1), size: [32, 1] }
    const list = [featureInputLayer(1, { normalization: 'none' }), fullyConnectedLayer(1)]
    const options = sgdm({ maxEpochs: 60, initialLearnRate: 0.05, l2Regularization: 0, metrics: 'rmse' })
    const { net, info } = await trainnet(X, targets, list, 'mse', options)
    expectClose([net.learnables[0]!.value!.item(), net.learnables[1]!.value!.item()], [3, 1], 0.02)
    expect(info.trainingHistory.metrics.rmse!.at(-1)).toBeLessThan(0.1)
  })
  it('are errors otherwise', () => {
    expect(() => trainingLoss('cross', 'trainnet')).toThrow(OptionError)
    expect(() => trainingLoss('toString', 'trainnet')).toThrow(OptionError)
    expect(() => trainingLoss(undefined, 'trainnet')).toThrow(OptionError)
    expect(() => trainingLoss('mse', 'trainnet').compute([Y, Y], [T])).toThrow(/one output and one target/)
    expect(() => trainingLoss(() => Y, 'trainnet').compute([Y], [T])).toThrow(TrainingError)
  })
  it('a function of one’s own', async () => {
    const { X, T: names } = points()
    const own = (scores: DlArray, targets: DlArray) => plus(crossentropy(scores, targets), 1)
    const { info } = await trainnet(X, names, layers(), own, sgdm())
    const plain = await train()
    expect(info.trainingHistory.loss[0]).toBeCloseTo(plain.info.trainingHistory.loss[0]! + 1, 5)
  })
})

describe('training that cannot go on', () => {
  const failure = async (work: Promise<unknown>): Promise<TrainingInterruptedError> => {
    const error = await work.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(TrainingInterruptedError)
    return error as TrainingInterruptedError
  }

  it('names the layer in which NaN began, and keeps the network', async () => {
    const { X, T } = points()
    // From the sixth iteration on the loss multiplies by infinity, which makes gradients NaN.
    let calls = 0
    const loss = (Y: DlArray, targets: DlArray) =>
      times(crossentropy(Y, targets), ++calls > 5 ? Number.POSITIVE_INFINITY : 1)
    const error = await failure(trainnet(X, T, layers(), loss, sgdm()))
    expect(error.message).toMatch(
      /but got Infinity at iteration 6 \(epoch 2, .*beginning in the loss function, .* those of layer 'softmax' \(.*\), of magnitude up to [\d.]+\. Lower/,
    )
    expect(error).toBeInstanceOf(TrainingError)
    expect(error.info.trainingHistory.iteration).toEqual([1, 2, 3, 4, 5])
    expect(error.info.stopReason).toBe('Stopped by error')
    for (const list of parametersOf(error.net)) expect(list.every(Number.isFinite)).toBe(true)
    const five = await train({ outputFcn: ({ iteration }) => iteration === 5 })
    expect(parametersOf(error.net)).toEqual(parametersOf(five.net))
  })

  it('a layer whose output overflows', async () => {
    const { X, T } = points()
    const huge = dlarray(new Float32Array(16).fill(3e38), [8, 2])
    const list = [
      featureInputLayer(2),
      fullyConnectedLayer(8, { weights: huge, name: 'wide' }),
      reluLayer(),
      fullyConnectedLayer(3),
      softmaxLayer(),
    ]
    const error = await failure(trainnet(X, T, list, 'crossentropy', sgdm()))
    expect(error.message).toMatch(/beginning in layer 'wide' .*its output has \d+ of 64 values that are not finite/)
  })

  it('a loss that overflows although the layers do not', async () => {
    const { X } = points()
    const far = { values: X.values.map((x) => 1e25 * x), size: X.size }
    const list = [featureInputLayer(2), fullyConnectedLayer(2, { name: 'last' })]
    const error = await failure(trainnet(X, far, list, 'mse', sgdm()))
    expect(error.message).toMatch(
      /the loss function, .* those of layer 'last' \(.*\), of magnitude up to [\d.]+\. Lower/,
    )
  })

  it('a parameter that is NaN', async () => {
    const { X, T } = points()
    const bias = dlarray([0, Number.NaN, 0])
    const list = [featureInputLayer(2), fullyConnectedLayer(3, { bias, name: 'scores' }), softmaxLayer()]
    const error = await failure(trainnet(X, T, list, 'crossentropy', sgdm()))
    expect(error.message).toMatch(/layer 'scores' .*its Bias have 1 of 3 values that are not finite/)
  })

  it('data with NaN', async () => {
    const { X, T } = points()
    X.values[17] = Number.NaN
    const list = [featureInputLayer(2, { normalization: 'none' }), fullyConnectedLayer(3), softmaxLayer()]
    const error = await failure(trainnet(X, T, list, 'crossentropy', sgdm()))
    expect(error.message).toMatch(/the data: input 1 of the network has 1 of 16 values/)
  })

  it('a gradient that overflows is found before it does harm', async () => {
    const { X, T } = points()
    const loss = (Y: DlArray, targets: DlArray) => {
      const small = times(crossentropy(Y, targets), 1e-30)
      // The value stays small, the gradient is multiplied by the factor of the last product.
      return times(times(small, 1e-15), 1e38 * 1e7)
    }
    const error = await failure(trainnet(X, T, layers(), loss, sgdm({ initialLearnRate: 1 })))
    for (const list of parametersOf(error.net)) expect(list.every(Number.isFinite)).toBe(true)
  })

  it('errors of own functions keep the network and the cause from the first iteration on', async () => {
    const { X, T } = points()
    const cause = new TypeError('a slip of the pen')
    const slip = () => {
      throw cause
    }
    const calls = [
      () => trainnet(X, T, layers(), slip, sgdm()),
      () => trainnet(X, T, layers(), 'crossentropy', sgdm({ outputFcn: slip })),
      () => trainnet(X, T, layers(), 'crossentropy', sgdm({ metrics: slip })),
      () => trainnet(X, T, layers(), 'crossentropy', sgdm({ learnRateSchedule: slip })),
    ]
    for (const call of calls) {
      const error = await call().then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(TrainingInterruptedError)
      expect((error as TrainingInterruptedError).cause).toBe(cause)
      expect(String(error)).toContain('but got a slip of the pen (after iteration 0)')
      expect((error as TrainingInterruptedError).net.initialized).toBe(true)
    }
  })

  it('errors in between keep the network and the cause', async () => {
    const cause = new Error('the telephone rang')
    const error = await failure(
      train({
        outputFcn: ({ iteration }) => {
          if (iteration === 3) throw cause
        },
      }),
    )
    expect(error.message).toContain('the telephone rang (after iteration 3)')
    expect(error.cause).toBe(cause)
    expect(error.info.trainingHistory.iteration).toEqual([1, 2, 3])
    const stopped = await train({ outputFcn: ({ iteration }) => iteration === 3 })
    expect(parametersOf(error.net)).toEqual(parametersOf(stopped.net))
  })

  it('what does not fit together is told before training', async () => {
    const { X, T } = points()
    const data = X as never
    await expect(trainnet(X, T.slice(1), layers(), 'crossentropy', sgdm())).rejects.toThrow(DimensionError)
    await expect(trainnet(X, T, layers(), 'crossentropy', { maxEpochs: 1 } as never)).rejects.toThrow(/trainingOptions/)
    await expect(trainnet(X, T, 3 as never, 'crossentropy', sgdm())).rejects.toThrow(NetworkError)
    await expect((trainnet as (...all: unknown[]) => unknown)(X, T)).rejects.toThrow(/2 arguments/)
    await expect(trainnet(data, layers(), 'crossentropy', sgdm())).rejects.toThrow(/targets beside data in memory/)
    await expect(
      trainnet(X, T, [featureInputLayer(3), fullyConnectedLayer(3)], 'crossentropy', sgdm()),
    ).rejects.toThrow(/3 channels/)
    const four = [featureInputLayer(2), fullyConnectedLayer(4), softmaxLayer()]
    await expect(trainnet(X, T, four, 'crossentropy', sgdm())).rejects.toThrow(
      /number of channels in predictions \(4\) to match the number of channels in the targets \(3\)/,
    )
    await expect(trainnet(X, X, [featureInputLayer(2)], 'mse', sgdm())).rejects.toThrow(/no learnable parameters/)
    const empty = { *[Symbol.iterator](): Iterator<MiniBatch> {} }
    await expect(trainnet(empty, [fullyConnectedLayer(2)], 'mse', sgdm())).rejects.toThrow(TrainingError)
  })
})

describe('a loss function that gives no loss', () => {
  const { X, T } = points()
  const withLoss = (loss: () => unknown) => trainnet(X, T, layers(), loss as () => DlArray, sgdm())

  it('is told so: an array that was not computed from the outputs', async () => {
    const error: unknown = await withLoss(() => dlarray(1)).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TrainingError)
    expect((error as Error).message).toMatch(/computed from the network's outputs.*does not depend on them/)
  })
  it('is told so: a promise', async () => {
    await expect(withLoss(async () => dlarray(1))).rejects.toThrow(
      /but got a promise. Write the function without async/,
    )
    const later = trainnet(X, T, layers(), (async () => dlarray(1)) as never, sgdm({ validationData: [X, T] }))
    await expect(later).rejects.toThrow(/^trainnet: expected a loss function/)
  })
})

describe('numbers as class labels', () => {
  const { X } = points()
  it('are whole', async () => {
    const whole = Array.from({ length: 40 }, (_, i) => i % 3)
    const { info } = await trainnet(X, whole, layers(), 'crossentropy', sgdm({ maxEpochs: 1 }))
    expect(info.trainingHistory.loss.length).toBe(5)
    for (const fractions of [whole.map((k) => k / 10), Float32Array.from(whole, (k) => k / 2)]) {
      const error: unknown = await trainnet(X, fractions as number[], layers(), 'crossentropy', sgdm()).catch(
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(OptionError)
      expect((error as Error).message).toMatch(
        /whole numbers, but got 0.[15] at element 2 of the targets.*'mse'.*categorical/,
      )
    }
    const named = categorical(whole.map((k) => k / 10))
    await trainnet(X, named, layers(), 'crossentropy', sgdm({ maxEpochs: 1 }))
    // Numbers to be predicted may be any.
    const list = [featureInputLayer(2), fullyConnectedLayer(1)]
    await trainnet(
      X,
      whole.map((k) => k / 10),
      list,
      'mse',
      sgdm({ maxEpochs: 1 }),
    )
  })
})

describe('statistics of inputs', () => {
  it('of channels, elements and everything, mini-batch by mini-batch', () => {
    const stream = new RandomStream(4)
    const size = [3, 2, 2, 7]
    const values = Float64Array.from({ length: 84 }, () => 1000 + stream.normal())
    const statistics = ['mean', 'standardDeviation', 'min', 'max'] as const
    for (const [dimension, shape, keyOf] of [
      ['channel', [1, 1, 2], (i: number) => Math.floor(i / 6) % 2],
      ['element', [3, 2, 2], (i: number) => i % 12],
      ['all', [1, 1], () => 0],
    ] as const) {
      const computed = new InputStatistics({ statistics, dimension, size: shape })
      for (const [from, to] of [
        [0, 3],
        [3, 7],
      ] as const)
        computed.update(dlarray(values.slice(12 * from, 12 * to), [...size.slice(0, 3), to - from], 'SSCB'))
      const result = computed.values()
      const groups: number[][] = []
      values.forEach((value, i) => {
        const list = groups[keyOf(i)] ?? []
        list.push(Math.fround(value))
        groups[keyOf(i)] = list
      })
      const mean = groups.map((list) => list.reduce((a, b) => a + b) / list.length)
      const deviation = groups.map((list, k) =>
        Math.sqrt(list.reduce((a, b) => a + (b - mean[k]!) ** 2, 0) / list.length),
      )
      expectClose(result.mean!.values(), mean, 1e-7, 'mean')
      expectClose(result.standardDeviation!.values(), deviation, 1e-4, 'deviation')
      expectClose(
        result.min!.values(),
        groups.map((list) => Math.min(...list)),
        1e-7,
        'min',
      )
      expectClose(
        result.max!.values(),
        groups.map((list) => Math.max(...list)),
        1e-7,
        'max',
      )
      expect(result.mean!.size).toEqual(shape)
    }
  })
})
