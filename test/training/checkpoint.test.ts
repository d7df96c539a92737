import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { setThreads } from '../../src/backends/current.js'
import type { MiniBatch } from '../../src/data/minibatch.js'
import { FileError } from '../../src/errors.js'
import { saveArrays } from '../../src/io/arrays.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { instanceNormalizationLayer } from '../../src/layers/instance-normalization.js'
import { reluLayer } from '../../src/layers/relu.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'
import { readCheckpoint } from '../../src/training/checkpoint.js'
import { TrainingInterruptedError } from '../../src/training/training-error.js'
import { type TrainingOptionsArguments, trainingOptions } from '../../src/training/training-options.js'
import { trainnet } from '../../src/training/trainnet.js'

let folder = ''
beforeEach(() => {
  setThreads(1)
  folder = mkdtempSync(join(tmpdir(), 'dlnet-checkpoints-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function images(count: number, seed: number) {
  const stream = new RandomStream(seed)
  const T = Array.from({ length: count }, (_, i) => ['dark', 'light'][i % 2]!)
  const values = Float32Array.from(
    { length: 25 * 2 * count },
    (_, i) => stream.normal() + (Math.floor(i / 50) % 2 ? 1 : -1),
  )
  return { X: { values, size: [5, 5, 2, count] }, T }
}

const layers = () => [
  imageInputLayer([5, 5, 2], { normalization: 'zscore' }),
  convolution2dLayer(3, 4),
  instanceNormalizationLayer(),
  reluLayer(),
  fullyConnectedLayer(2),
  softmaxLayer(),
]

const { X, T } = images(26, 1)
const validation = images(9, 2)

/** Everything that could tell one run from another: three epochs of six iterations, each leaving two observations out. */
const common: TrainingOptionsArguments<'adam'> = {
  verbose: false,
  miniBatchSize: 4,
  maxEpochs: 3,
  shuffle: 'every-epoch',
  seed: 3,
  initialLearnRate: 0.01,
  learnRateSchedule: 'cosine',
  metrics: 'accuracy',
  validationData: [validation.X, validation.T],
  validationFrequency: 4,
  gradientThreshold: 0.5,
}

const contents = (result: Awaited<ReturnType<typeof trainnet>>) => ({
  learnables: result.net.learnables.map(({ value }) => value!.values()),
  mean: (result.net.layers[0] as unknown as { mean: DlArray }).mean.values(),
  history: result.info.trainingHistory,
  validation: result.info.validationHistory,
  output: result.info.outputNetworkIteration,
  reason: result.info.stopReason,
})

const iterationOf = (file: string) => Number(file.split('__')[1])
const written = () => readdirSync(folder).sort((a, b) => iterationOf(a) - iterationOf(b))

describe('a run that goes on from a checkpoint', () => {
  for (const solver of ['sgdm', 'adam', 'rmsprop'] as const)
    for (const shuffle of ['every-epoch', 'once', 'never'] as const)
      it(`has the bits of one that was never stopped: ${solver}, shuffled ${shuffle}`, async () => {
        const options = { ...common, shuffle } as TrainingOptionsArguments
        const whole = contents(await trainnet(X, T, layers(), 'crossentropy', trainingOptions(solver, options)))
        await trainnet(
          X,
          T,
          layers(),
          'crossentropy',
          trainingOptions(solver, { ...options, checkpointPath: folder, checkpointFrequencyUnit: 'iteration' }),
        )
        const files = written()
        expect(files.map(iterationOf)).toEqual(Array.from({ length: 18 }, (_, i) => i + 1))
        // In an epoch, at its end, at the last validation that was best, and at the very end.
        for (const at of [1, 3, 6, 9, 12, 17, 18]) {
          const file = join(folder, files[at - 1]!)
          const resumed = await trainnet(
            X,
            T,
            layers(),
            'crossentropy',
            trainingOptions(solver, { ...options, resume: file }),
          )
          expect(contents(resumed), `from iteration ${at}`).toEqual(whole)
        }
      })

  it('after the process stopped at any point, from the newest file of the folder', async () => {
    const whole = contents(await trainnet(X, T, layers(), 'crossentropy', trainingOptions('adam', common)))
    const failing = {
      ...common,
      checkpointPath: folder,
      checkpointFrequency: 5,
      checkpointFrequencyUnit: 'iteration',
    } as const
    const crash = ({ iteration }: { iteration: number }) => {
      if (iteration === 12) throw new Error('power cut')
    }
    await expect(
      trainnet(X, T, layers(), 'crossentropy', trainingOptions('adam', { ...failing, outputFcn: crash })),
    ).rejects.toThrow(/power cut/)
    expect(written().map(iterationOf)).toEqual([5, 10])
    const resumed = await trainnet(
      X,
      T,
      layers(),
      'crossentropy',
      trainingOptions('adam', { ...common, resume: folder }),
    )
    expect(contents(resumed)).toEqual(whole)
  })

  it('on more threads, in double, and with data from a stream', async () => {
    const stream = {
      *[Symbol.iterator](): Iterator<MiniBatch> {
        for (let i = 0; i < 5; i++)
          yield {
            inputs: [dlarray([Math.sin(i), Math.cos(i)], 'C', { type: 'double' })],
            targets: [dlarray([i % 2, 1 - (i % 2)], 'C', { type: 'double' })],
            observations: 1,
          }
      },
    }
    const double = [
      fullyConnectedLayer(3, {
        weights: dlarray(
          [
            [1, 2],
            [3, 4],
            [5, 6],
          ],
          { type: 'double' },
        ),
      }),
      reluLayer(),
      fullyConnectedLayer(2),
      softmaxLayer(),
    ]
    const options = { ...common, validationData: undefined, metrics: [] }
    const train = (more: TrainingOptionsArguments<'adam'>) =>
      trainnet(stream, double, 'crossentropy', trainingOptions('adam', { ...options, ...more }))
    const whole = await train({ checkpointPath: folder, checkpointFrequencyUnit: 'iteration' })
    setThreads(2)
    for (const at of [3, 5, 7]) {
      const resumed = await train({ resume: join(folder, written()[at - 1]!) })
      expect(resumed.info.trainingHistory).toEqual(whole.info.trainingHistory)
      expect(resumed.net.learnables.map(({ value }) => value!.values())).toEqual(
        whole.net.learnables.map(({ value }) => value!.values()),
      )
    }
  })

  it('counts patience and time on', async () => {
    const worse = {
      ...common,
      learnRateSchedule: undefined,
      initialLearnRate: 5,
      validationFrequency: 1,
      validationPatience: 6,
    }
    const whole = await trainnet(X, T, layers(), 'crossentropy', trainingOptions('adam', worse))
    expect(whole.info.stopReason).toBe('Validation patience met')
    const stop = ({ iteration }: { iteration: number }) => iteration === 4
    const half = { ...worse, checkpointPath: folder, checkpointFrequencyUnit: 'iteration', outputFcn: stop } as const
    await trainnet(X, T, layers(), 'crossentropy', trainingOptions('adam', half))
    const elapsed: number[] = []
    const resumed = await trainnet(
      X,
      T,
      layers(),
      'crossentropy',
      trainingOptions('adam', { ...worse, resume: folder, outputFcn: (now) => void elapsed.push(now.timeElapsed) }),
    )
    expect(contents(resumed)).toEqual(contents(whole))
    expect(elapsed[0]).toBeGreaterThan(0)
  })
})

describe('checkpoint files', () => {
  const save = (more: TrainingOptionsArguments<'adam'> = {}) =>
    trainnet(X, T, layers(), 'crossentropy', trainingOptions('adam', { ...common, checkpointPath: folder, ...more }))
  const resume = (file: string, more: TrainingOptionsArguments<'adam'> = {}, list = layers()) =>
    trainnet(X, T, list, 'crossentropy', trainingOptions('adam', { ...common, resume: file, ...more }))

  it('come after every epoch by default, every so many epochs or iterations when told so', async () => {
    await save()
    expect(written().map(iterationOf)).toEqual([6, 12, 18])
    expect(written()[0]).toMatch(/^net_checkpoint__6__\d{4}_\d\d_\d\d__\d\d_\d\d_\d\d\.safetensors$/)
    folder = join(folder, 'made', 'when missing')
    await save({ checkpointFrequency: 2 })
    expect(written().map(iterationOf)).toEqual([12])
    folder = join(folder, 'iterations')
    await save({ checkpointFrequency: 7, checkpointFrequencyUnit: 'iteration' })
    expect(written().map(iterationOf)).toEqual([7, 14])
  })

  it('do not change the training', async () => {
    const plain = await trainnet(X, T, layers(), 'crossentropy', trainingOptions('adam', common))
    expect(contents(await save({ checkpointFrequencyUnit: 'iteration' }))).toEqual(contents(plain))
  })

  it('the newest of a folder is the one written last', async () => {
    await save()
    const [first] = written()
    utimesSync(join(folder, first!), new Date(), new Date(Date.now() + 60_000))
    expect((await readCheckpoint(folder)).progress.iteration).toBe(6)
  })

  it('hold everything', async () => {
    await save({ maxEpochs: 1 })
    const { arrays, lists, progress } = await readCheckpoint(folder)
    expect(Object.keys(arrays).filter((name) => name.includes('fc/Bias'))).toEqual([
      'learnables/fc/Bias',
      'solver/averageGrad/fc/Bias',
      'solver/averageSqGrad/fc/Bias',
      'best/learnables/fc/Bias',
    ])
    expect(Object.keys(arrays)).toContain('statistics/imageinput/standardDeviation')
    expect(lists['training/loss']!.length).toBe(6)
    expect([...lists.order!].sort((a, b) => a - b)).toEqual(Array.from({ length: 26 }, (_, i) => i))
    expect(progress).toMatchObject({ iteration: 6, epoch: 1, isEpochDone: true, position: 0, numObservations: 26 })
  })

  it('of another network, solver or data are not taken', async () => {
    await save({ maxEpochs: 1 })
    const other = [featureInputLayer(2), fullyConnectedLayer(2), softmaxLayer()]
    const features = { values: new Float32Array(52), size: [26, 2] }
    const adam = trainingOptions('adam', { ...common, validationData: undefined, resume: folder })
    await expect(trainnet(features, T, other, 'crossentropy', adam)).rejects.toThrow(FileError)
    const sgdm = trainingOptions('sgdm', { ...(common as object), resume: folder })
    await expect(trainnet(X, T, layers(), 'crossentropy', sgdm)).rejects.toThrow(/the solver 'sgdm'.*one of 'adam'/)
    const few = images(10, 1)
    const fewer = trainingOptions('adam', { ...common, resume: folder })
    await expect(trainnet(few.X, few.T, layers(), 'crossentropy', fewer)).rejects.toThrow(/for 10 observations/)
    const wide = layers().with(1, convolution2dLayer(3, 5))
    await expect(resume(folder, {}, wide)).rejects.toThrow(/learnables\/conv\/Weights/)
    await expect(resume(folder, { metrics: ['accuracy', 'rmse'] })).rejects.toThrow(/history training\/metrics\/rmse/)
  })

  it('need a folder, which is made before training starts', async () => {
    const file = join(folder, 'a file')
    writeFileSync(file, '')
    const outputFcn = vi.fn()
    const impossible = [file, join(file, 'below'), join(folder, 'n'.repeat(400)), 'zero\0', '/dev/null/x', '/proc/x/y']
    for (const checkpointPath of process.platform === 'linux' ? impossible : impossible.slice(0, 4)) {
      const error: unknown = await save({ checkpointPath, outputFcn }).catch((reason: unknown) => reason)
      expect(error, checkpointPath).toBeInstanceOf(FileError)
      expect((error as Error).message.match(/checkpointPath/g), checkpointPath).toHaveLength(1)
    }
    expect(outputFcn).not.toHaveBeenCalled()
    expect(readdirSync(folder)).toEqual(['a file'])
  })

  it('of other options that decide what an iteration computes are not taken', async () => {
    await save({ maxEpochs: 1 })
    const others: [TrainingOptionsArguments<'adam'>, RegExp][] = [
      [{ miniBatchSize: 5 }, /with miniBatchSize 5 .*one with 4/],
      [{ shuffle: 'once' }, /with shuffle 'once' .*one with 'every-epoch'/],
      [{ l2Regularization: 0 }, /with l2Regularization 0 .*one with 0.0001/],
      [{ gradientThreshold: Infinity }, /with gradientThreshold Infinity .*one with 0.5/],
      [{ epsilon: 1e-7 }, /with epsilon 1e-7 .*one with 1e-8/],
      [{ squaredGradientDecayFactor: 0.99 }, /with squaredGradientDecayFactor 0.99 .*one with 0.999/],
      [{ targetDataFormats: 'BC' }, /with targetDataFormats 'BC' .*one with 'auto'/],
    ]
    for (const [more, words] of others) {
      const error: unknown = await resume(folder, more).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(FileError)
      expect((error as Error).message).toMatch(words)
    }
    const index = trainnet(X, T, layers(), 'index-crossentropy', trainingOptions('adam', { ...common, resume: folder }))
    await expect(index).rejects.toThrow(/with loss 'index-crossentropy' .*one with 'crossentropy'/)
  })

  it('may be gone on from for more epochs, at another learn rate', async () => {
    await save({ maxEpochs: 2, learnRateSchedule: 'none' })
    const { info } = await resume(folder, { maxEpochs: 4, learnRateSchedule: 'none', initialLearnRate: 0.002, seed: 9 })
    expect(info.trainingHistory.epoch.at(-1)).toBe(4)
    expect(info.trainingHistory.learnRate.slice(11, 13)).toEqual([0.01, 0.002])
    await expect(resume(folder, { maxEpochs: 1 })).rejects.toThrow(/maxEpochs of at least 2/)
  })

  it('that are missing, damaged or of another kind are errors', async () => {
    await expect(resume(join(folder, 'none.safetensors'))).rejects.toThrow(FileError)
    await expect(resume(folder)).rejects.toThrow(/checkpoints in the folder/)
    await save({ maxEpochs: 1 })
    const file = join(folder, written()[0]!)
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.subarray(0, bytes.length - 9))
    await expect(resume(file)).rejects.toThrow(FileError)
    await expect(resume(file)).rejects.toThrow(
      /^trainnet: expected [^:]*, but got [^:]*\. The file is damaged or [^:]*:/,
    )
    const altered = Buffer.from(bytes)
    altered[altered.length - 5]! ^= 1
    writeFileSync(file, altered)
    await expect(resume(file)).rejects.toThrow(FileError)
    await saveArrays(file, { x: dlarray([1]) })
    await expect(resume(file)).rejects.toThrow(/without the state of training/)
    const state = '{"version":2,"solver":"adam","options":{},"iteration":-1}'
    await saveArrays(file, { x: dlarray([1]) }, { training: state })
    await expect(resume(file)).rejects.toThrow(/a state of training with iteration/)
  })

  it('that cannot be written stop the training with the network so far', async () => {
    const checkpointPath = join(folder, 'made at the start')
    const outputFcn = ({ iteration }: { iteration: number }) => {
      if (iteration !== 6) return
      expect(readdirSync(checkpointPath)).toEqual([])
      rmSync(checkpointPath, { recursive: true })
      writeFileSync(checkpointPath, '')
    }
    const error: unknown = await save({ checkpointPath, outputFcn }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TrainingInterruptedError)
    expect((error as TrainingInterruptedError).message).toMatch(
      /^trainnet: expected checkpointPath to be a folder that can be written to: '.*', but got a file, .*error.net is/,
    )
    expect((error as TrainingInterruptedError).cause).toBeInstanceOf(FileError)
    expect((error as TrainingInterruptedError).info.trainingHistory.iteration.length).toBe(6)
    expect((error as TrainingInterruptedError).net.initialized).toBe(true)
  })
})
