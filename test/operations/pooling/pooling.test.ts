import { afterEach, describe, expect, it } from 'vitest'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { setBackend } from '../../../src/backends/current.js'
import { DimensionError, OptionError } from '../../../src/errors.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { times } from '../../../src/operations/elementwise/arithmetic.js'
import { avgpool, maxpool, maxpoolWithIndices } from '../../../src/operations/pooling/maxpool.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { DOUBLE, expectClose, SINGLE } from '../../support/close.js'
import { describeGolden, type GoldenArray } from '../../support/golden.js'
import { normals } from '../../support/random.js'

interface Case {
  op: 'maxpool' | 'avgpool'
  format: string
  poolSize: number
  stride: number
  padding: [number, number]
  x: GoldenArray
  y: GoldenArray
  dy: GoldenArray
  dx: GoldenArray
}

const pools = { maxpool, avgpool }

afterEach(() => setBackend('wasm'))

describeGolden<Case[]>('pooling', (cases) => {
  for (const type of ['double', 'single'] as const)
    cases.forEach((one, number) => {
      it(`${number}: ${one.op} ${one.format} of ${one.x.size.join('×')}, windows ${one.poolSize}, stride ${one.stride}, padding ${one.padding}, ${type}`, () => {
        const array = (values: GoldenArray) =>
          dlarray(Float64Array.from(values.data), values.size, one.format, { type })
        const rank = one.format.lastIndexOf('S') + 1
        const [before, after] = one.padding
        const edges = [Array<number>(rank).fill(before), Array<number>(rank).fill(after)]
        const tolerance = type === 'double' ? DOUBLE : SINGLE
        const dy = array(one.dy)
        const { y, dx } = dlfeval((x) => {
          const y = pools[one.op](x, one.poolSize, { stride: one.stride, padding: edges })
          return { y, dx: dlgradient(sum(times(dy, y), 'all'), x) }
        }, array(one.x))
        expect(y.size).toEqual(one.y.size)
        expect(y.dims).toBe(one.format)
        expectClose(y.values(), one.y.data, tolerance, 'y')
        expectClose(dx.values(), one.dx.data, tolerance, 'dx')
        // without a trace no winners are kept; the values are the same
        expect(pools[one.op](array(one.x), one.poolSize, { stride: one.stride, padding: edges }).values()).toEqual(
          y.values(),
        )
      })
    })
})

describe('maxpool', () => {
  const X = dlarray(
    [
      [1, 2, 5, 0],
      [3, 4, 1, 1],
      [7, 7, 2, 3],
      [6, 7, 9, 8],
    ],
    'SS',
    { type: 'double' },
  )

  it('takes the largest of each window', () => {
    expect(maxpool(X, 2, { stride: 2 }).toNested()).toEqual([
      [4, 5],
      [7, 9],
    ])
    expect(maxpool(X, [1, 4]).toNested()).toEqual([[5], [4], [7], [9]])
    expect(maxpool(X, 'global').toNested()).toEqual([[9]])
    expect(maxpool(X, 3, { padding: 'same', stride: 2 }).toNested()).toEqual([
      [7, 5],
      [9, 9],
    ])
  })

  it('gives the gradient to the first of equal elements', () => {
    const dX = dlfeval((x) => dlgradient(sum(maxpool(x, 2, { stride: 2 }), 'all'), x), X)
    expect(dX.toNested()).toEqual([
      [0, 0, 1, 0],
      [0, 1, 0, 0],
      [1, 0, 0, 0],
      [0, 0, 1, 0],
    ])
  })

  it('names the winners by their index in X', () => {
    const image = dlarray([...X.values(), ...X.values().map((x) => -x)], [4, 4, 2], 'SSC')
    for (const options of [
      { stride: 2 },
      { stride: 1, padding: 1 },
      {
        stride: 3,
        padding: [
          [1, 0],
          [0, 1],
        ],
      },
    ]) {
      const { Y, indices, inputSize } = maxpoolWithIndices(image, 2, options)
      expect(indices.size).toEqual(Y.size)
      expect(inputSize).toEqual([4, 4, 2])
      const values = image.values()
      expect(Array.from(indices.values(), (index) => values[index - 1])).toEqual([...Y.values()])
    }
    expect([...maxpoolWithIndices(X, 2, { stride: 2 }).indices.values()]).toEqual([6, 3, 9, 12])
  })

  it('keeps NaN visible on both backends', () => {
    const values = Float64Array.from({ length: 60 }, (_, i) => (i === 23 ? Number.NaN : i % 7))
    for (const backend of ['reference', 'wasm'] as const) {
      setBackend(backend)
      const Y = maxpool(dlarray(values, [12, 5], 'SS'), 2, { stride: 1 })
      expect(Array.from(Y.values()).filter(Number.isNaN)).toHaveLength(2)
      expect(
        maxpool(dlarray(values, [12, 5], 'SS'), 2, { stride: 2 })
          .values()
          .filter(Number.isNaN),
      ).toHaveLength(1)
    }
  })

  it('pools over time, over space and time, and unformatted data', () => {
    const draw = normals(3)
    const sequence = dlarray(Float64Array.from({ length: 60 }, draw), [3, 2, 10], 'CBT', { type: 'double' })
    const Y = maxpool(sequence, 5, { stride: 5 })
    expect(Y.dims).toBe('CBT')
    expect(Y.size).toEqual([3, 2, 2])
    const nested = sequence.toNested() as number[][][]
    expect((Y.toNested() as number[][][])[2]![1]![1]).toBe(Math.max(...nested[2]![1]!.slice(5)))
    const plain = maxpool(dlarray(sequence.values(), [3, 2, 10], { type: 'double' }), 5, {
      stride: 5,
      dataFormat: 'CBT',
    })
    expect(plain.dims).toBe('')
    expect(plain.values()).toEqual(Y.values())
    const film = dlarray(Float64Array.from({ length: 96 }, draw), [4, 2, 3, 4], 'SCBT', { type: 'double' })
    expect(maxpool(film, 2, { poolFormat: 'ST', stride: 2 }).size).toEqual([2, 2, 3, 2])
    expect(maxpool(film, 2, { stride: 2 }).size).toEqual([2, 2, 3, 4])
    expect(maxpool(film, 2, { poolFormat: 'T', stride: 2 }).size).toEqual([4, 2, 3, 2])
  })

  it('says what does not fit', () => {
    expect(() => maxpool(X, 5)).toThrow(DimensionError)
    expect(() => maxpool(X, 2, { padding: 2 })).toThrow(/padding smaller than the pool size/)
    expect(() => maxpool(X, 0)).toThrow(OptionError)
    expect(() => maxpool(X, 2, { padding: 'causal' as never })).toThrow(OptionError)
    expect(() => maxpool(X, 2, { poolFormat: 'T' })).toThrow(/poolFormat/)
    expect(() => maxpool(dlarray([1, 2, 3], 'C'), 2)).toThrow(DimensionError)
    expect(() => maxpool(X, 2, { strides: 2 } as never)).toThrow(/'strides'/)
    expect(() => maxpool(X, 'global', { stride: 2 })).toThrow(/no stride/)
    expect(() => avgpool(X, 'global', { padding: 1 })).toThrow(/no padding/)
    expect(() => avgpool(X, 'global', { strides: 1 } as never)).toThrow(/'strides'/)
    expect(avgpool(X, 'global', { stride: undefined }).size).toEqual([1, 1])
    expect(() => avgpool(X, 2, { paddingValue: 3 as never })).toThrow(/paddingValue/)
  })
})

describe('avgpool', () => {
  it('counts padding as zeros, or not at all', () => {
    const X = dlarray([1, 2, 3, 4], 'S', { type: 'double' })
    expect([...avgpool(X, 2, { padding: 1, stride: 2 }).values()]).toEqual([0.5, 2.5, 2])
    expect([...avgpool(X, 2, { padding: 1, stride: 2, paddingValue: 'mean' }).values()]).toEqual([1, 2.5, 4])
    expect([...avgpool(X, 'global').values()]).toEqual([2.5])
    expect([
      ...avgpool(dlarray(X.values(), [4, 1], { type: 'double' }), 'global', { dataFormat: 'SC' }).values(),
    ]).toEqual([2.5])
  })

  it('pools large odd images alike on both backends and differentiates them', () => {
    const draw = normals(9)
    const values = Float64Array.from({ length: 37 * 29 * 6 }, () => Math.fround(draw()))
    for (const [pool, options] of [
      [2, { stride: 2 }],
      [3, { stride: 2, padding: 1 }],
      [3, { stride: 1, padding: 'same' }],
      [[5, 2], { stride: [3, 2] }],
    ] as const)
      for (const one of [avgpool, maxpool]) {
        const results = (['double', 'single'] as const).map((type) =>
          dlfeval(
            (x) => {
              const y = one(x, pool, options)
              return { y, dx: dlgradient(sum(times(y, y), 'all'), x) }
            },
            dlarray(values, [37, 29, 3, 2], 'SSCB', { type }),
          ),
        )
        expectClose(results[1]!.y.values(), results[0]!.y.values(), SINGLE, 'y')
        expectClose(results[1]!.dx.values(), results[0]!.dx.values(), SINGLE, 'dx')
      }
  })
})
