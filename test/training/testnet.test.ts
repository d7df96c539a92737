import { describe, expect, it } from 'vitest'
import { startedBackends } from '../../src/backends/current.js'
import { categorical } from '../../src/data/categorical.js'
import { arrayDatastore, combine } from '../../src/data/datastore.js'
import type { MiniBatch } from '../../src/data/minibatch.js'
import { scores2label } from '../../src/data/onehot.js'
import { DimensionError, OptionError, TrainingError } from '../../src/errors.js'
import { convolution2dLayer } from '../../src/layers/convolution.js'
import { featureInputLayer } from '../../src/layers/feature-input.js'
import { fullyConnectedLayer } from '../../src/layers/fully-connected.js'
import { imageInputLayer } from '../../src/layers/image-input.js'
import { layerArray } from '../../src/layers/layer-array.js'
import { softmaxLayer } from '../../src/layers/softmax.js'
import { dlnetwork } from '../../src/network/network-making.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { minibatchpredict } from '../../src/training/minibatchpredict.js'
import { testnet } from '../../src/training/testnet.js'

/** Class 'high' when the second feature is the larger one. */
const classifier = dlnetwork(
  layerArray([
    featureInputLayer(2),
    fullyConnectedLayer(2, {
      weights: [
        [-1, 1],
        [1, -1],
      ],
      bias: [[0], [0]],
      name: 'fc',
    }),
    softmaxLayer(),
  ]),
)
// Rows are observations; column-major.
const X = { values: [1, 5, 2, 3, 9, 2, 4, 7, 1, 0], size: [5, 2] }
const labels = ['high', 'low', 'high', 'low', 'low']

describe('minibatchpredict', () => {
  it('gives observations in rows, whatever the mini-batches', async () => {
    const all = await minibatchpredict(classifier, X)
    expect([all.size, all.dims]).toEqual([[5, 2], ''])
    const parts = await minibatchpredict(classifier, X, { miniBatchSize: 2 })
    expect([...parts.values()]).toEqual([...all.values()])
    expect(scores2label(all, ['high', 'low']).toArray()).toEqual(['high', 'low', 'high', 'low', 'low'])
  })

  it('gives images, other formats and other layers', async () => {
    const net = dlnetwork(
      layerArray([imageInputLayer([4, 3, 1], { normalization: 'none' }), convolution2dLayer(2, 2, { name: 'conv' })]),
    )
    const images = { values: Float32Array.from({ length: 4 * 3 * 3 }, (_, i) => Math.sin(i)), size: [4, 3, 1, 3] }
    const Y = await minibatchpredict(net, images, { miniBatchSize: 2 })
    expect(Y.size).toEqual([3, 2, 2, 3])
    const whole = net.predict(dlarray(images.values, images.size, 'SSCB'))
    expect([...Y.values()]).toEqual([...whole.values()])
    const moved = await minibatchpredict(net, images, { miniBatchSize: 2, outputDataFormats: 'BSSC' })
    expect(moved.size).toEqual([3, 3, 2, 2])
    expect(moved.values()[1]).toBe(Y.values()[12])
    const [scores, sums] = await minibatchpredict(classifier, X, {
      outputs: ['softmax', 'fc'],
    })
    expect([...sums!.values()]).toEqual([1, -1, 5, -2, -9, -1, 1, -5, 2, 9])
    expect(scores!.size).toEqual([5, 2])
  })

  it('takes datastores and mini-batches', async () => {
    const all = [...(await minibatchpredict(classifier, X)).values()]
    const store = await minibatchpredict(classifier, combine(arrayDatastore(X), arrayDatastore(labels)))
    expect([...store.values()]).toEqual(all)
    const rows = await minibatchpredict(classifier, {
      async *[Symbol.asyncIterator](): AsyncGenerator<MiniBatch> {
        for (let i = 0; i < 5; i++)
          yield { inputs: [dlarray([[X.values[i]!], [X.values[i + 5]!]], 'CB')], targets: [], observations: 1 }
      },
    })
    expect([...rows.values()]).toEqual(all)
  })

  it('names what is wrong, and stops when told', async () => {
    await expect(minibatchpredict(classifier, X, { batch: 3 } as never)).rejects.toThrow(OptionError)
    await expect(minibatchpredict(classifier, X, { outputDataFormats: 'SB' })).rejects.toThrow(OptionError)
    await expect(minibatchpredict(classifier, X, { inputDataFormats: ['BC', 'BC'] })).rejects.toThrow(/the input/)
    await expect(minibatchpredict(classifier, { values: [1, 2, 3], size: [1, 3] })).rejects.toThrow(/3/)
    await expect(minibatchpredict(classifier, X, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i)
  })

  it('frees what it made', async () => {
    const held = () => startedBackends().map((backend) => backend.memory().storages)
    const before = held()
    const Y = await minibatchpredict(classifier, X, { miniBatchSize: 2 })
    Y.dispose()
    expect(held()).toEqual(before)
    await testnet(classifier, X, labels, ['accuracy', 'auc'], { miniBatchSize: 2 })
    expect(held()).toEqual(before)
  })
})

describe('testnet', () => {
  it('gives one number for one metric, a list for a list, in its order', async () => {
    expect(await testnet(classifier, X, labels, 'accuracy')).toBe(100)
    const some = ['high', 'high', 'high', 'low', 'low']
    const values = await testnet(classifier, X, some, ['recall', 'accuracy'], { miniBatchSize: 2 })
    expect(values[0]).toBeCloseTo((2 / 3 + 1) / 2, 12)
    expect(values[1]).toBeCloseTo(80, 12)
  })

  it('takes lists of numbers as labels with metrics of classes', async () => {
    expect(await testnet(classifier, X, [0, 1, 0, 1, 1], 'accuracy')).toBe(100)
    expect(await testnet(classifier, X, Uint8Array.of(1, 0, 1, 0, 0), 'accuracy')).toBe(0)
    expect(await testnet(classifier, X, categorical(labels), 'accuracy')).toBe(100)
  })

  it('takes the targets of a datastore', async () => {
    const store = combine(arrayDatastore(X), arrayDatastore(labels))
    expect(await testnet(classifier, store, 'accuracy')).toBe(100)
    expect(await testnet(classifier, store, ['accuracy'], { miniBatchSize: 3 })).toEqual([100])
    await expect(testnet(classifier, arrayDatastore(X), 'accuracy')).rejects.toThrow(TrainingError)
  })

  it('compares numbers', async () => {
    const net = dlnetwork(
      layerArray([featureInputLayer(2), fullyConnectedLayer(1, { weights: [[1, 1]], bias: [[0]] })]),
    )
    expect(await testnet(net, X, [3, 9, 9, 4, 9], 'rmse')).toBe(0)
    expect(await testnet(net, X, [[3], [9], [9], [4], [11]], 'rmse')).toBeCloseTo(Math.sqrt(4 / 5), 6)
  })

  it('says what helps where the labels lack a class, and that helps', async () => {
    const lacking = ['high', 'high', 'high', 'high', 'high']
    const error: unknown = await testnet(classifier, X, lacking, 'accuracy').catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(DimensionError)
    expect((error as Error).message).toMatch(
      /labels of 1 class \(high\)\. Where labels lack some of the classes, .*: categorical\(T, names\) with 2 names; /,
    )
    expect(await testnet(classifier, X, categorical(lacking, ['high', 'low']), 'accuracy')).toBe(40)
    expect(await testnet(classifier, X, lacking, 'accuracy', { classNames: ['high', 'low'] })).toBe(40)
    const other = testnet(classifier, X, [...lacking.slice(1), ' middle '], 'accuracy', {
      classNames: [' high', 'low'],
    })
    await expect(other).rejects.toThrow(/among {2}high, low, but got 'middle' at element 5/)
    await expect(testnet(classifier, X, [0, 1, 0.5, 1, 1], 'accuracy')).rejects.toThrow(/0.5 at element 3 .*'rmse'/)
  })

  it('names what does not fit', async () => {
    await expect(testnet(classifier, X, ['high', 'low'], 'accuracy')).rejects.toThrow(
      /5 observations in the predictors and 2 in the targets/,
    )
    await expect(testnet(classifier, X, ['a', 'b', 'c', 'a', 'b'], 'accuracy')).rejects.toThrow(DimensionError)
    await expect(testnet(classifier, X, labels, 'acuracy' as never)).rejects.toThrow(OptionError)
    await expect(testnet(classifier, X, [[1], [0], [1], [0], [0]], 'rmse')).rejects.toThrow(
      /predictions \(2\) to match the number of channels in the targets \(1\)/,
    )
  })
})
