import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { startedBackends } from '../../src/backends/current.js'
import type { BatchStream, MiniBatch } from '../../src/data/minibatch.js'
import { TrainingError } from '../../src/errors.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { minibatchpredict } from '../../src/training/minibatchpredict.js'
import { testnet } from '../../src/training/testnet.js'
import { TrainingInterruptedError } from '../../src/training/training-error.js'
import { type TrainingOptionsArguments, trainingOptions } from '../../src/training/training-options.js'
import { trainnet } from '../../src/training/trainnet.js'

const log: string[] = []
beforeEach(() => {
  log.length = 0
})

function batch(i: number): MiniBatch {
  return {
    inputs: [dlarray(Float32Array.of(i, 1), [2, 1], 'CB')],
    targets: [dlarray(Float32Array.of(1 - (i % 2), i % 2), [2, 1], 'CB')],
    observations: 1,
  }
}

const pause = () => new Promise((resolve) => setImmediate(resolve))

/** So many mini-batches, each read for a while; what happens is logged. */
function reading(count: number): BatchStream {
  return {
    async *[Symbol.asyncIterator]() {
      try {
        for (let i = 1; i <= count; i++) {
          log.push(`read ${i}`)
          await pause()
          const one = batch(i)
          try {
            yield one
          } finally {
            for (const array of [...one.inputs, ...one.targets]) array.dispose()
          }
        }
        log.push('end')
      } finally {
        log.push('closed')
      }
    },
  }
}

function train(data: BatchStream, options: TrainingOptionsArguments<'sgdm'> = {}) {
  const layers = [fullyConnectedLayer(2), softmaxLayer()]
  const given = {
    maxEpochs: 1,
    verbose: false,
    seed: 3,
    outputFcn: ({ state, iteration }: { state: string; iteration: number }) => {
      if (state === 'iteration') log.push(`step ${iteration}`)
      return false
    },
    ...options,
  }
  return trainnet(data, layers, 'crossentropy', trainingOptions('sgdm', given))
}

const storages = () => startedBackends().reduce((sum, backend) => sum + backend.memory().storages, 0)

describe('reading ahead', () => {
  it('asks for the next mini-batch, and for no more, before the step of the present one', async () => {
    const { info, net } = await train(reading(4))
    // The first pass is short: sizes come from the first mini-batch.
    expect(log.slice(log.indexOf('closed') + 1)).toEqual([
      'read 1',
      'read 2',
      'step 1',
      'read 3',
      'step 2',
      'read 4',
      'step 3',
      'end',
      'closed',
      'step 4',
    ])
    expect(info.trainingHistory.loss).toHaveLength(4)
    net.dispose()
  })

  it('computes with what the stream gave, though the stream frees or fills it anew when it is asked for more', async () => {
    const kept = [1, 2, 3, 4].map(batch)
    const { info, net } = await train(reading(4), { maxEpochs: 3 })
    const expected = await train({ [Symbol.iterator]: () => kept[Symbol.iterator]() }, { maxEpochs: 3 })
    expect(info.trainingHistory).toEqual(expected.info.trainingHistory)
    const refilled: BatchStream = {
      async *[Symbol.asyncIterator]() {
        const one = batch(1)
        for (const source of kept) {
          for (const part of ['inputs', 'targets'] as const)
            one[part][0]!.storage.view().set(source[part][0]!.storage.view())
          yield one
        }
      },
    }
    const again = await train(refilled, { maxEpochs: 3 })
    expect(again.info.trainingHistory).toEqual(expected.info.trainingHistory)
    for (const trained of [net, expected.net, again.net]) trained.dispose()
  })

  it('does not read ahead of what is there at once', async () => {
    const stream = {
      *[Symbol.iterator]() {
        for (let i = 1; i <= 3; i++) {
          log.push(`read ${i}`)
          yield batch(i)
        }
      },
    }
    await train(stream)
    expect(log.slice(1)).toEqual(['read 1', 'step 1', 'read 2', 'step 2', 'read 3', 'step 3'])
  })

  it('tells an error of the stream before its first mini-batch, whoever reads it', async () => {
    const gone = new Error('the disk is gone')
    const broken: BatchStream = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(gone) }),
    }
    const net = dlnetwork([featureInputLayer(2, { normalization: 'none' }), fullyConnectedLayer(2)], { seed: 1 })
    const open = [featureInputLayer(2, { normalization: 'zerocenter' }), fullyConnectedLayer(2), softmaxLayer()]
    const once = trainingOptions('sgdm', { verbose: false })
    const calls = [
      () => train(broken),
      () => trainnet(broken, open, 'crossentropy', once),
      () => trainnet(broken, net, 'mse', once),
      () => train(reading(2), { validationData: broken }),
      () => testnet(net, broken, 'rmse'),
      () => minibatchpredict(net, broken),
    ]
    const told: string[] = []
    for (const call of calls) {
      const error = await call().then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(TrainingError)
      expect((error as Error).cause).toBe(gone)
      told.push((error as Error).message)
    }
    expect(told).toMatchInlineSnapshot(`
      [
        "trainnet: expected mini-batches from the data stream, but got its error: the disk is gone. Mend what gives the mini-batches; error.cause tells where it failed.",
        "trainnet: expected mini-batches from the data stream, but got its error: the disk is gone. Mend what gives the mini-batches; error.cause tells where it failed.",
        "trainnet: expected mini-batches from the data stream, but got its error: the disk is gone. Mend what gives the mini-batches; error.cause tells where it failed.",
        "trainnet (validationData): expected mini-batches from the data stream, but got its error: the disk is gone. Mend what gives the mini-batches; error.cause tells where it failed.",
        "testnet: expected mini-batches from the data stream, but got its error: the disk is gone. Mend what gives the mini-batches; error.cause tells where it failed.",
        "minibatchpredict: expected mini-batches from the data stream, but got its error: the disk is gone. Mend what gives the mini-batches; error.cause tells where it failed.",
      ]
    `)
  })

  it('tells an error of the stream after the steps before it', async () => {
    const gone = new Error('the disk is gone')
    const failing: BatchStream = {
      async *[Symbol.asyncIterator]() {
        yield batch(1)
        yield batch(2)
        await pause()
        throw gone
      },
    }
    const error = await train(failing).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(TrainingInterruptedError)
    expect(String(error)).toMatchInlineSnapshot(
      `"TrainingInterruptedError: trainnet: expected mini-batches from the data stream, but got its error: the disk is gone (after iteration 2). Mend what gives the mini-batches; error.cause tells where it failed. error.net is the network so far."`,
    )
    expect(((error as Error).cause as Error).cause).toBe(gone)
    expect(log.filter((line) => line.startsWith('step'))).toEqual(['step 1', 'step 2'])
  })

  it('ends the stream when it is left early, at most one mini-batch ahead', async () => {
    const { info, net } = await train(reading(9), {
      outputFcn: ({ state, iteration }) => {
        if (state === 'iteration') log.push(`step ${iteration}`)
        return iteration === 2
      },
    })
    expect(info.stopReason).toBe('Stopped by output function')
    while (log.at(-1) !== 'closed') await pause()
    expect(log.slice(-3)).toEqual(['read 3', 'step 2', 'closed'])
    net.dispose()
  })

  it('does not wait for a mini-batch that nobody needs any more', async () => {
    const hanging: BatchStream = {
      async *[Symbol.asyncIterator]() {
        yield batch(1)
        yield batch(2)
        await new Promise(() => undefined)
      },
    }
    const { info, net } = await train(hanging, { outputFcn: ({ iteration }) => iteration === 2 })
    expect(info.stopReason).toBe('Stopped by output function')
    net.dispose()
  })

  it('keeps no memory, whether it comes to the end, is stopped, or is called off while it waits', async () => {
    const before = storages()
    const ends: TrainingOptionsArguments<'sgdm'>[] = [
      { maxEpochs: 2 },
      { outputFcn: ({ iteration }) => iteration === 3 },
      { signal: AbortSignal.timeout(5), maxEpochs: 1e6 },
    ]
    for (const options of ends) {
      const { net } = await train(reading(5), options)
      net.dispose()
      // After a signal the stream's end is not waited for.
      for (let turn = 0; turn < 5; turn++) await pause()
      // Fewer where the collector meanwhile found what earlier tests dropped.
      expect(storages()).toBeLessThanOrEqual(before)
    }
  })

  it('goes on from a checkpoint behind the last step, not behind what was read ahead', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dlnet-'))
    try {
      const options = {
        maxEpochs: 2,
        checkpointPath: folder,
        checkpointFrequency: 3,
        checkpointFrequencyUnit: 'iteration',
      }
      const whole = await train(reading(4), { maxEpochs: 2 })
      const stop = ({ iteration }: { iteration: number }) => iteration === 3
      const part = await train(reading(4), { ...options, outputFcn: stop } as TrainingOptionsArguments<'sgdm'>)
      const rest = await train(reading(4), { maxEpochs: 2, resume: folder })
      expect(rest.info.trainingHistory).toEqual(whole.info.trainingHistory)
      for (const { net } of [whole, part, rest]) net.dispose()
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
