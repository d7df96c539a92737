import { describe, expect, it } from 'vitest'
import { Categorical } from '../../src/data/categorical.js'
import { arrayDatastore, combine } from '../../src/data/datastore.js'
import { minibatchqueue } from '../../src/data/minibatchqueue.js'
import { onehotencode } from '../../src/data/onehot.js'
import { DimensionError, OptionError } from '../../src/errors.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'

const images = { values: Array.from({ length: 2 * 1 * 3 * 5 }, (_, i) => i), size: [2, 1, 3, 5] }

describe('minibatchqueue', () => {
  it('gives formatted mini-batches, labels through a function', () => {
    const queue = minibatchqueue(
      combine(arrayDatastore(images, { iterationDimension: 4 }), arrayDatastore(['a', 'b', 'a', 'a', 'b'])),
      {
        miniBatchSize: 2,
        miniBatchFcn: (X, T) => [X as never, onehotencode(T as Categorical, 2)],
        miniBatchFormat: ['SSCB', 'BC'],
      },
    )
    const seen: number[][] = []
    while (queue.hasdata()) {
      const [X, T] = queue.next()
      expect(X!.dims).toBe('SSCB')
      expect(T!.dims).toBe('CB')
      seen.push([...T!.values()])
    }
    expect(seen).toEqual([
      [1, 0, 0, 1],
      [1, 0, 1, 0],
      [0, 1],
    ])
    expect(() => queue.next()).toThrow(OptionError)
    queue.reset()
    expect([...queue.next()[0]!.values()]).toEqual(images.values.slice(0, 12))
  })

  it('keeps the order of dimensions without a format, and casts', () => {
    const rows = arrayDatastore({ values: [1, 2, 3, 10, 20, 30], size: [3, 2] })
    const [X] = minibatchqueue(rows, { miniBatchSize: 2, outputCast: 'double' }).next()
    expect([X!.size, X!.dims, X!.underlyingType]).toEqual([[2, 2], '', 'double'])
    expect(X!.toNested()).toEqual([
      [1, 10],
      [2, 20],
    ])
  })

  it('hands labels on as categorical of the mini-batch', () => {
    const received: unknown[] = []
    const queue = minibatchqueue(arrayDatastore(['x', 'y', 'x']), {
      miniBatchSize: 2,
      miniBatchFcn(T) {
        received.push(T)
        return dlarray([1])
      },
    })
    queue.next()
    expect(received[0]).toBeInstanceOf(Categorical)
    expect((received[0] as Categorical).toArray()).toEqual(['x', 'y'])
    expect((received[0] as Categorical).size).toEqual([2, 1])
  })

  it('shuffles, and leaves out what does not fill a mini-batch if asked', () => {
    const values = Array.from({ length: 7 }, (_, i) => i)
    const queue = minibatchqueue(arrayDatastore({ values, size: [7, 1] }), {
      miniBatchSize: 3,
      partialMiniBatch: 'discard',
    })
    queue.shuffle(new RandomStream(5))
    const seen: number[] = []
    while (queue.hasdata()) seen.push(...queue.next()[0]!.values())
    expect(seen).toEqual([...new RandomStream(5).permutation(7)].slice(0, 6))
  })

  it('names what is wrong', () => {
    const store = arrayDatastore(images, { iterationDimension: 4 })
    expect(() => minibatchqueue(images as never)).toThrow(OptionError)
    expect(() => minibatchqueue(store, { size: 3 } as never)).toThrow(/'size'/)
    expect(() => minibatchqueue(store, { miniBatchSize: 0 })).toThrow(OptionError)
    expect(() => minibatchqueue(store, { miniBatchFormat: ['SSCB', 'CB'] }).next()).toThrow(/1 arrays/)
    expect(() => minibatchqueue(arrayDatastore(['a'])).next()).toThrow(/onehotencode/)
    expect(() => minibatchqueue(arrayDatastore(dlarray([[1, 2]], 'CB')))).toThrow(DimensionError)
  })
})
