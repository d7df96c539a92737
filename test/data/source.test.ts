import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { categorical } from '../../src/data/categorical.js'
import { arrayDatastore, combine, datastoreSource, streamSource } from '../../src/data/datastore.js'
import type { MiniBatch } from '../../src/data/minibatch.js'
import { inMemorySource } from '../../src/data/source.js'
import { DimensionError, OptionError, TrainingError } from '../../src/errors.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'

const range = (count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i)

describe('mini-batches of data in memory', () => {
  it('gives images as SSCB and labels as one-hot CB', () => {
    const X = { values: Uint8Array.from(range(2 * 3 * 2 * 5)), size: [2, 3, 2, 5] }
    const source = inMemorySource(X, ['b', 'a', 'b', 'c', 'a'], { inputFormat: 'SSCB', miniBatchSize: 2 })
    const batches = [...source]
    expect(batches.map(({ observations }) => observations)).toEqual([2, 2, 1])
    expect(source.classNames).toEqual(['a', 'b', 'c'])
    const [{ inputs, targets }] = batches as [MiniBatch]
    expect([inputs[0]!.dims, inputs[0]!.size, inputs[0]!.underlyingType]).toEqual(['SSCB', [2, 3, 2, 2], 'single'])
    expect([...inputs[0]!.values()]).toEqual(range(24))
    expect([targets[0]!.dims, targets[0]!.size]).toEqual(['CB', [3, 2]])
    expect([...targets[0]!.values()]).toEqual([0, 1, 0, 1, 0, 0])
    expect([...batches[2]!.inputs[0]!.values()]).toEqual(range(12, 48))
  })

  it('turns features with observations in rows into CB', () => {
    // 3 observations of 2 features, column-major.
    const X = { values: [1, 2, 3, 10, 20, 30], size: [3, 2] }
    const [batch] = [...inMemorySource(X, [[5], [6], [7]], { inputFormat: 'BC', miniBatchSize: 2 })]
    expect([...batch!.inputs[0]!.values()]).toEqual([1, 10, 2, 20])
    expect([batch!.targets[0]!.dims, batch!.targets[0]!.size]).toEqual(['CB', [1, 2]])
    expect([...batch!.targets[0]!.values()]).toEqual([5, 6])
  })

  it('turns sequences T-by-C-by-N into CBT', () => {
    const X = { values: range(3 * 2 * 2), size: [3, 2, 2] }
    const [batch] = [...inMemorySource(X, undefined, { inputFormat: 'TCB' })]
    const Y = batch!.inputs[0]!
    expect([Y.dims, Y.size]).toEqual(['CBT', [2, 2, 3]])
    // Element (c, b, t) is X(t, c, b), whose place is t + 3 (c + 2 b).
    expect([...Y.values()]).toEqual([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11])
    expect(batch!.targets).toEqual([])
  })

  it('gathers like dlarray and indexing, for any format and order', () => {
    const formats = fc.constantFrom('SSCB', 'BSSC', 'CB', 'BC', 'TCB', 'CBT', 'BTC', 'SCTB', 'BCU', 'SB')
    const extents = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 4, maxLength: 4 })
    fc.assert(
      fc.property(formats, extents, fc.integer({ min: 1, max: 5 }), (format, size, miniBatchSize) => {
        const used = size.slice(0, format.length)
        const values = Float64Array.from(range(used.reduce((product, extent) => product * extent, 1)))
        const all = dlarray(values, used, format as 'SSCB', { type: 'double' })
        const source = inMemorySource({ values, size: used }, undefined, { inputFormat: format, miniBatchSize })
        const random = new RandomStream(3)
        source.shuffle(random)
        const order = new RandomStream(3).permutation(source.numObservations)
        const B = all.dims.indexOf('B')
        const inner = all.size.slice(0, B).reduce((product, extent) => product * extent, 1)
        const count = all.size[B]!
        const elements = all.values()
        let seen = 0
        for (const { inputs, observations } of source) {
          const expected: number[] = []
          for (let outer = 0; outer < elements.length / inner / count; outer++)
            for (let b = 0; b < observations; b++)
              for (let i = 0; i < inner; i++) expected.push(elements[i + inner * (order[seen + b]! + count * outer)]!)
          expect([...inputs[0]!.values()]).toEqual(expected)
          seen += observations
        }
        expect(seen).toBe(count)
      }),
    )
  })

  it('keeps double arrays double', () => {
    const X = dlarray([[1, 2]], 'CB', { type: 'double' })
    const [batch] = [...inMemorySource(X, ['a', 'b'])]
    expect(batch!.inputs[0]!.underlyingType).toBe('double')
    expect(batch!.targets[0]!.underlyingType).toBe('double')
  })

  it('takes lists of numbers as labels where labels are wanted, and as numbers otherwise', () => {
    const X = { values: [1, 2, 3], size: [3, 1] }
    const first = (labels?: 'onehot' | 'index') =>
      [...inMemorySource(X, [7, 3, 7], { inputFormat: 'BC', labels })][0]!.targets[0]!
    expect([...first().values()]).toEqual([7, 3, 7])
    expect([...first('onehot').values()]).toEqual([0, 1, 1, 0, 0, 1])
    expect([...first('index').values()]).toEqual([2, 1, 2])
  })

  it('encodes pixel labels along C', () => {
    const T = categorical({ values: ['x', 'y', 'y', 'x', 'x', 'x', 'y', 'y'], size: [2, 2, 1, 2] })
    const X = { values: range(8), size: [2, 2, 1, 2] }
    const [batch] = [...inMemorySource(X, T, { inputFormat: 'SSCB' })]
    expect([batch!.targets[0]!.dims, batch!.targets[0]!.size]).toEqual(['SSCB', [2, 2, 2, 2]])
    expect([...batch!.targets[0]!.values()]).toEqual([1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1])
  })

  it('keeps the order of given classes and refuses others', () => {
    const X = { values: [1, 2], size: [2, 1] }
    const [batch] = [...inMemorySource(X, ['b', 'a'], { inputFormat: 'BC', classNames: ['c', 'b', 'a'] })]
    expect([...batch!.targets[0]!.values()]).toEqual([0, 1, 0, 0, 0, 1])
    expect(() => inMemorySource(X, categorical(['b', 'z']), { inputFormat: 'BC', classNames: ['a', 'b'] })).toThrow(
      /'z' at element 2/,
    )
    expect(() => inMemorySource(X, ['b', null], { inputFormat: 'BC' })).toThrow(OptionError)
  })

  it('pads or cuts sequences of different lengths', () => {
    const X = [
      { values: [1, 2, 10, 20], size: [2, 2] },
      { values: [3, 30], size: [1, 2] },
    ]
    const values = (options: object) => [
      ...[...inMemorySource(X, undefined, { inputFormat: 'TCB', ...options })][0]!.inputs[0]!.values(),
    ]
    expect(values({})).toEqual([1, 10, 3, 30, 2, 20, 0, 0])
    expect(values({ sequencePaddingValue: -1, sequencePaddingDirection: 'left' })).toEqual([
      1, 10, -1, -1, 2, 20, 3, 30,
    ])
    expect(values({ sequenceLength: 'shortest' })).toEqual([1, 10, 3, 30])
    expect(values({ sequenceLength: 'shortest', sequencePaddingDirection: 'left' })).toEqual([2, 20, 3, 30])
    expect(() => values({ inputFormat: 'CB' })).toThrow(/time dimension/)
  })

  it('leaves out what does not fill the last mini-batch, if asked', () => {
    const X = { values: range(7), size: [7, 1] }
    const source = inMemorySource(X, undefined, { inputFormat: 'BC', miniBatchSize: 3, partialMiniBatch: 'discard' })
    expect([...source].map(({ observations }) => observations)).toEqual([3, 3])
    expect(source.numBatches).toBe(2)
    const few = inMemorySource(X, undefined, { inputFormat: 'BC', miniBatchSize: 10, partialMiniBatch: 'discard' })
    expect([...few].map(({ observations }) => observations)).toEqual([7])
  })

  it('goes on from a state as if never stopped', () => {
    const X = { values: range(10), size: [10, 1] }
    const options = { inputFormat: 'BC', miniBatchSize: 3 } as const
    const take = (batches: Iterable<MiniBatch>) => [...batches].map(({ inputs }) => [...inputs[0]!.values()])
    const unbroken = inMemorySource(X, undefined, options)
    unbroken.shuffle(new RandomStream(1))
    const all = take(unbroken)
    const broken = inMemorySource(X, undefined, options)
    broken.shuffle(new RandomStream(1))
    const iterator = broken[Symbol.iterator]()
    iterator.next()
    iterator.next()
    const state = JSON.parse(JSON.stringify(broken.state()))
    const resumed = inMemorySource(X, undefined, options)
    resumed.restore(state)
    expect(take(resumed)).toEqual(all.slice(2))
    expect(take(resumed)).toEqual(all)
    expect(() => resumed.restore({ order: range(9), position: 0 })).toThrow(OptionError)
    expect(() => resumed.restore({ order: [...range(9), 8], position: 0 })).toThrow(OptionError)
    expect(() => resumed.restore({ position: 10 })).toThrow(OptionError)
  })

  it('names what does not fit', () => {
    const X = { values: range(8), size: [2, 2, 1, 2] }
    expect(() => inMemorySource(X, ['a'], { inputFormat: 'SSCB' })).toThrow(
      /2 observations in the predictors and 1 in the targets/,
    )
    expect(() => inMemorySource(X, undefined)).toThrow(OptionError)
    expect(() => inMemorySource({ values: range(7), size: [2, 4] }, undefined, { inputFormat: 'BC' })).toThrow(
      DimensionError,
    )
    expect(() => inMemorySource(X, undefined, { inputFormat: 'BC' })).toThrow(/dimension for each label/)
    expect(() => inMemorySource(dlarray([[1, 2]], 'CB'), undefined, { inputFormat: 'TCB' })).toThrow(OptionError)
    expect(() => inMemorySource({ values: [], size: [0, 2] }, undefined, { inputFormat: 'BC' })).toThrow(
      /at least one observation/,
    )
  })
})

describe('datastores', () => {
  it('reads observations along a dimension', () => {
    const X = arrayDatastore({ values: range(6), size: [2, 3] }, { iterationDimension: 2 })
    expect(X.numObservations).toBe(3)
    const store = combine(X, arrayDatastore(['a', 'b', 'a']))
    const [batch] = [...datastoreSource(store, ['BC'], [], { miniBatchSize: 2 })]
    expect([batch!.inputs[0]!.dims, ...batch!.inputs[0]!.values()]).toEqual(['CB', 0, 1, 2, 3])
    expect([...batch!.targets[0]!.values()]).toEqual([1, 0, 0, 1])
  })

  it('combines only datastores of the same length', () => {
    const one = arrayDatastore([1, 2])
    expect(() => combine(one, arrayDatastore([1, 2, 3]))).toThrow(DimensionError)
    expect(() => combine()).toThrow(OptionError)
    expect(() => arrayDatastore([1], { iterationDimension: 0 })).toThrow(OptionError)
    expect(() => datastoreSource(one, ['BC', 'BC'], [], {})).toThrow(/2 inputs/)
  })
})

describe('streams of mini-batches', () => {
  const batchOf = (value: number): MiniBatch => ({
    inputs: [dlarray([[value, value]], 'CB')],
    targets: [],
    observations: 2,
  })

  async function values(source: ReturnType<typeof streamSource>): Promise<number[]> {
    const seen: number[] = []
    for await (const { inputs } of source) seen.push(inputs[0]!.values()[0]!)
    return seen
  }

  it('begins anew with each pass, and skips what was given before a checkpoint', async () => {
    const stream = {
      async *[Symbol.asyncIterator]() {
        for (const value of [1, 2, 3]) yield batchOf(value)
      },
    }
    const source = streamSource(stream, 'trainnet')
    expect(await values(source)).toEqual([1, 2, 3])
    expect(await values(source)).toEqual([1, 2, 3])
    expect(source.state()).toEqual({ position: 0 })
    const iterator = (source as AsyncIterable<MiniBatch>)[Symbol.asyncIterator]()
    await iterator.next()
    const resumed = streamSource(stream, 'trainnet')
    resumed.restore(source.state())
    expect(await values(resumed)).toEqual([2, 3])
    expect(await values(resumed)).toEqual([1, 2, 3])
  })

  it('says when a stream is used up', async () => {
    function* once() {
      yield batchOf(1)
    }
    const source = streamSource(once(), 'trainnet')
    expect(await values(source)).toEqual([1])
    await expect(values(source)).rejects.toThrow(TrainingError)
  })

  it('checks mini-batches', async () => {
    await expect(values(streamSource([{ X: 1 }] as never, 'trainnet'))).rejects.toThrow(/\{ X \}/)
    await expect(values(streamSource([{ inputs: [dlarray([1, 2])] }] as never, 'trainnet'))).rejects.toThrow(
      /unformatted/,
    )
    const uneven = { inputs: [dlarray([[1, 2]], 'CB')], targets: [dlarray([[1]], 'CB')] }
    await expect(
      values(
        streamSource(
          {
            *[Symbol.iterator]() {
              yield uneven
            },
          } as never,
          'trainnet',
        ),
      ),
    ).rejects.toThrow(DimensionError)
  })
})
