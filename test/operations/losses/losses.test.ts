import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../../src/array/dlarray.js'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { setThreads } from '../../../src/backends/current.js'
import { DimensionError, OptionError } from '../../../src/errors.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../../src/operations/arrays/random.js'
import { times } from '../../../src/operations/elementwise/arithmetic.js'
import { crossentropy, indexcrossentropy, oneHotOperation } from '../../../src/operations/losses/crossentropy.js'
import { huber } from '../../../src/operations/losses/huber.js'
import { l1loss } from '../../../src/operations/losses/l1loss.js'
import { l2loss } from '../../../src/operations/losses/l2loss.js'
import { lossGradientOperation, lossSumOperation, lossTermOperation } from '../../../src/operations/losses/loss.js'
import { mse } from '../../../src/operations/losses/mse.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { expectClose } from '../../support/close.js'

const type = 'double'

/** MATLAB's `rand(rows, columns)` from a stream. */
function uniform(stream: RandomStream, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, () => stream.uniform())
}

function softmaxColumns(values: Float64Array, rows: number): Float64Array {
  const result = new Float64Array(values.length)
  for (let start = 0; start < values.length; start += rows) {
    const column = values.subarray(start, start + rows).map(Math.exp)
    const total = column.reduce((a, b) => a + b)
    result.set(
      column.map((x) => x / total),
      start,
    )
  }
  return result
}

function oneHot(classes: readonly number[], rows: number): Float64Array {
  const result = new Float64Array(rows * classes.length)
  classes.forEach((number, column) => {
    result[column * rows + number - 1] = 1
  })
  return result
}

const cb = (values: ArrayLike<number>, size: number[], as: 'single' | 'double' = type) =>
  dlarray(Float64Array.from(values), size, 'CB', { type: as })

describe('documented examples', () => {
  it('indexcrossentropy of softmax scores', () => {
    const stream = new RandomStream()
    const Y = cb(softmaxColumns(uniform(stream, 5, 7), 5), [5, 7])
    const classes = Array.from({ length: 7 }, () => 1 + stream.integer(5))
    expect(classes).toEqual([5, 4, 2, 5, 1, 3, 2])
    const T = dlarray(classes, { type })
    const loss = indexcrossentropy(Y, dlarray(T, 'B'))
    expect(loss.item()).toBeCloseTo(1.56204547, 8)
    expect(loss.dims).toBe('')
    expect(crossentropy(Y, cb(oneHot(classes, 5), [5, 7])).item()).toBe(loss.item())
    expect(indexcrossentropy(Y, dlarray([classes], { type })).item()).toBe(loss.item())
  })

  it('crossentropy of ten classes', () => {
    const stream = new RandomStream()
    const Y = cb(softmaxColumns(uniform(stream, 10, 12), 10), [10, 12])
    const classes = Array.from({ length: 12 }, () => 1 + stream.integer(10))
    expect(classes).toEqual([2, 10, 1, 8, 9, 9, 1, 4, 3, 9, 5, 10])
    const loss = crossentropy(Y, cb(oneHot(classes, 10), [10, 12]))
    expect(loss.item()).toBeCloseTo(2.3343, 4)
    expect(loss.size).toEqual([1, 1])
    expect(loss.dims).toBe('')
  })

  it('l2loss, l1loss and huber', () => {
    const stream = new RandomStream()
    const Y = cb(uniform(stream, 10, 12), [10, 12])
    const T = cb(uniform(stream, 10, 12), [10, 12])
    expect(l2loss(Y, T).item()).toBeCloseTo(1.4748, 4)
    expect(l1loss(Y, T).item()).toBeCloseTo(3.1679, 4)
    expect(huber(Y, T).item()).toBeCloseTo(0.7374, 4)
  })

  it('mse is half the mean squared error over observations', () => {
    const stream = new RandomStream()
    const y = uniform(stream, 3, 7)
    const yhat = uniform(stream, 3, 7)
    expect(mse(cb(yhat, [3, 7]), cb(y, [3, 7])).item()).toBeCloseTo(0.3697, 4)
    const bc = (values: Float64Array) => dlarray(values, [3, 7], 'BC', { type })
    expect(mse(bc(yhat), bc(y)).item()).toBeCloseTo(0.8626, 4)
    const plain = (values: Float64Array) => dlarray(values, [3, 7], { type })
    expect(mse(plain(yhat), plain(y), { dataFormat: 'BC' }).item()).toBeCloseTo(0.8626, 4)
  })
})

describe('probabilities of zero', () => {
  for (const as of ['double', 'single'] as const)
    it(`keep the loss and its gradients finite in ${as}`, () => {
      const Y = cb([0, 1, 0.5, 0.5], [2, 2], as)
      const T = cb([1, 0, 0, 1], [2, 2], as)
      for (const classificationMode of ['single-label', 'multilabel'] as const) {
        const { loss, dY, second } = dlfeval((y) => {
          const value = crossentropy(y, T, { classificationMode })
          const gradient = dlgradient(value, y, { enableHigherDerivatives: true })
          return { loss: value, dY: gradient, second: dlgradient(sum(times(gradient, gradient), 'all'), y) }
        }, Y)
        for (const value of [...loss.values(), ...dY.values()]) expect(Number.isFinite(value)).toBe(true)
        for (const value of second.values()) expect(Number.isNaN(value)).toBe(false)
        expect(loss.item()).toBeGreaterThan(15)
        expect(dY.values()[0]).toBeLessThan(-1e6)
      }
    })

  it('ignore classes without a target', () => {
    const loss = crossentropy(cb([0, 1], [2, 1]), cb([0, 1], [2, 1]))
    expect(loss.item()).toBeCloseTo(0, 15)
  })

  it('let NaN through', () => {
    for (const as of ['double', 'single'] as const)
      expect(crossentropy(cb([Number.NaN, 1], [2, 1], as), cb([0, 1], [2, 1], as)).item()).toBeNaN()
  })
})

describe('options', () => {
  const Y = cb([0.2, 0.8, 0.6, 0.4, 0.1, 0.9], [2, 3])
  const T = cb([0, 1, 1, 0, 1, 0], [2, 3])
  const each = [0, -Math.log(0.8), -Math.log(0.6), 0, -Math.log(0.1), 0]
  const total = each.reduce((a, b) => a + b)

  it('reduction', () => {
    const terms = crossentropy(Y, T, { reduction: 'none' })
    expectClose(terms.values(), each, 1e-14)
    expect([terms.dims, terms.size]).toEqual(['CB', [2, 3]])
    const plain = crossentropy(dlarray(Y.values(), [2, 3], { type }), dlarray(T.values(), [2, 3], { type }), {
      reduction: 'none',
      dataFormat: 'CB',
    })
    expect([plain.dims, plain.size]).toEqual(['', [2, 3]])
    const turned = crossentropy(dlarray([[0.2, 0.8]], { type }), dlarray([[0, 1]], { type }), {
      reduction: 'none',
      dataFormat: 'BC',
    })
    expect([turned.dims, turned.size]).toEqual(['', [1, 2]])
  })

  it('normalizationFactor', () => {
    const value = (normalizationFactor: 'batch-size' | 'all-elements' | 'none') =>
      crossentropy(Y, T, { normalizationFactor }).item()
    expect(value('none')).toBeCloseTo(total, 14)
    expect(value('batch-size')).toBeCloseTo(total / 3, 14)
    expect(value('all-elements')).toBeCloseTo(total / 6, 14)
    expect(() => crossentropy(Y, T, { normalizationFactor: 'mask-included' })).toThrow(OptionError)
  })

  it('mask', () => {
    const mask = cb([1, 1, 1, 1, 0, 0], [2, 3])
    const expected = each[1]! + each[2]!
    expect(crossentropy(Y, T, { mask }).item()).toBeCloseTo(expected / 3, 14)
    expect(crossentropy(Y, T, { mask, normalizationFactor: 'mask-included' }).item()).toBeCloseTo(expected / 4, 14)
    const perObservation = dlarray(dlarray([1, 1, 0], { type }), 'B')
    expect(crossentropy(Y, T, { mask: perObservation }).item()).toBeCloseTo(expected / 3, 14)
    expect(l2loss(Y, T, { mask: perObservation }).item()).toBeCloseTo((0.04 + 0.04 + 0.16 + 0.16) / 3, 14)
  })

  it('weights, by label or of one number', () => {
    const expected = (3 * (each[0]! + each[2]! + each[4]!) + 5 * (each[1]! + each[3]! + each[5]!)) / 3
    const plain = dlarray([3, 5], { type })
    expect(crossentropy(Y, T, { weights: plain, weightsFormat: 'C' }).item()).toBeCloseTo(expected, 13)
    expect(crossentropy(Y, T, { weights: dlarray(plain, 'C') }).item()).toBeCloseTo(expected, 13)
    expect(crossentropy(Y, T, { weights: 2 }).item()).toBeCloseTo((2 * total) / 3, 13)
    expect(() => crossentropy(Y, T, { weights: plain })).toThrow(/weightsFormat/)
    expect(() => crossentropy(Y, T, { weights: dlarray([1, 2, 3], 'C') })).toThrow(DimensionError)
    expect(() => crossentropy(Y, T, { weights: dlarray([1, 2, 3], 'T') })).toThrow(DimensionError)
  })

  it('classificationMode', () => {
    const expected = [...Y.values()].reduce(
      (value, y, i) => value - Math.log(T.values()[i] === 1 ? y : 1 - y),
      0 as number,
    )
    expect(crossentropy(Y, T, { classificationMode: 'multilabel' }).item()).toBeCloseTo(expected / 3, 13)
  })

  it('transitionPoint', () => {
    const a = cb([0, 0, 0], [1, 3])
    const b = cb([0.1, 0.5, 2], [1, 3])
    const expected = 0.005 + 0.25 * (0.5 - 0.125) + 0.25 * (2 - 0.125)
    expect(huber(a, b, { transitionPoint: 0.25 }).item()).toBeCloseTo(expected / 3, 14)
    expect(() => huber(a, b, { transitionPoint: 0 })).toThrow(OptionError)
  })

  it('maskIndex', () => {
    const index = (list: number[]) => dlarray(dlarray(list, { type }), 'B')
    const masked = indexcrossentropy(Y, index([2, 0, 1]), { maskIndex: 0 })
    expect(masked.item()).toBeCloseTo((each[1]! + each[4]!) / 3, 14)
    expect(() => indexcrossentropy(Y, index([2, 0, 1]))).toThrow(/class numbers from 1 to 2/)
    expect(() => indexcrossentropy(Y, index([2, 3, 1]), { maskIndex: 0 })).toThrow(/but got 3/)
    expect(() => indexcrossentropy(Y, index([2, 1]))).toThrow(DimensionError)
    expect(() => indexcrossentropy(Y, index([2, 1, 1]), { maskIndex: 1 })).toThrow(OptionError)
  })

  it('class numbers of an image', () => {
    const scores = dlarray(softmaxColumns(uniform(new RandomStream(), 3, 8), 3), [3, 2, 2, 2], 'CSSB', { type })
    const classes = dlarray([1, 2, 3, 3, 2, 1, 1, 2], [2, 2, 2], 'SSB', { type })
    const encoded = oneHotOperation.run(
      { T: dlarray([1, 2, 3, 3, 2, 1, 1, 2], [2, 2, 1, 2], 'SSCB', { type }) },
      { classes: 3 },
    )
    expect(encoded.size).toEqual([2, 2, 3, 2])
    expect(indexcrossentropy(scores, classes).item()).toBeCloseTo(crossentropy(scores, encoded).item(), 14)
  })

  it('errors say what differs', () => {
    expect(() => crossentropy(Y, cb([1, 2, 1], [1, 3]))).toThrow(
      /number of channels in predictions \(2\) to match the number of channels in the targets \(1\).*onehotencode/,
    )
    expect(() => crossentropy(Y, cb([1, 0], [2, 1]))).toThrow(/number of observations in predictions \(3\)/)
    expect(() => crossentropy(dlarray([1, 2]), dlarray([1, 2]))).toThrow(/formatted predictions, or dataFormat/)
    expect(() => crossentropy(Y, T, { dataFormat: 'CB' })).toThrow(OptionError)
    expect(() => crossentropy(Y, T, { reduction: 'mean' as never })).toThrow(/reduction among 'sum', 'none'/)
    expect(() => l1loss(Y, T, { transitionPoint: 1 } as never)).toThrow(/'transitionPoint'/)
    expect(() => mse([1] as never, T)).toThrow(DimensionError)
  })
})

/** Central differences of a scalar function of one array. */
function differences(f: (x: DlArray) => number, x: DlArray, step = 1e-5): Float64Array {
  const values = x.values() as Float64Array
  return Float64Array.from(values, (value, i) => {
    const at = (moved: number) => {
      const copy = Float64Array.from(values)
      copy[i] = moved
      return f(dlarray(copy, x.size, x.dims as 'CB', { type }))
    }
    return (at(value + step) - at(value - step)) / (2 * step)
  })
}

describe('gradients', () => {
  const stream = new RandomStream(3)
  const Y = cb(softmaxColumns(uniform(stream, 4, 5), 4), [4, 5])
  const T = cb(softmaxColumns(uniform(stream, 4, 5), 4), [4, 5])
  const v = cb(uniform(stream, 4, 5), [4, 5])
  const weights = dlarray(dlarray(uniform(stream, 4, 1), [4], { type }), 'C')
  const losses: Record<string, (y: DlArray, t: DlArray) => DlArray> = {
    crossentropy: (y, t) => crossentropy(y, t),
    'crossentropy, multilabel': (y, t) => crossentropy(y, t, { classificationMode: 'multilabel' }),
    'crossentropy, weighted': (y, t) => crossentropy(y, t, { weights, normalizationFactor: 'all-elements' }),
    'crossentropy, element by element': (y, t) => sum(times(crossentropy(y, t, { reduction: 'none' }), v), 'all'),
    mse: (y, t) => mse(y, t),
    l2loss: (y, t) => l2loss(y, t),
    l1loss: (y, t) => l1loss(y, t),
    huber: (y, t) => huber(y, t, { transitionPoint: 0.07 }),
  }
  for (const [name, loss] of Object.entries(losses)) {
    it(`${name}: first and second derivatives`, () => {
      const first = dlfeval((y, t) => dlgradient(loss(y, t), { y, t }), Y, T)
      expectClose(
        first.y.values(),
        differences((y) => loss(y, T).item(), Y),
        1e-7,
        'dY',
      )
      expectClose(
        first.t.values(),
        differences((t) => loss(Y, t).item(), T),
        1e-7,
        'dT',
      )
      const product = (y: DlArray, t: DlArray) => {
        const { y: dY, t: dT } = dlgradient(loss(y, t), { y, t }, { enableHigherDerivatives: true })
        return sum(times(v, times(dY, times(dT, dT))), 'all')
      }
      const second = dlfeval((y, t) => dlgradient(product(y, t), { y, t }), Y, T)
      const value = (y: DlArray, t: DlArray) => dlfeval((a, b) => product(a, b), y, t).item()
      expectClose(
        second.y.values(),
        differences((y) => value(y, T), Y),
        1e-6,
        'second, Y',
      )
      expectClose(
        second.t.values(),
        differences((t) => value(Y, t), T),
        1e-6,
        'second, T',
      )
    })

    it(`${name}: single against double`, () => {
      const single = (X: DlArray) => dlarray(X, { type: 'single' })
      const evaluate = (y: DlArray, t: DlArray) =>
        dlfeval((a, b) => ({ loss: loss(a, b), ...dlgradient(loss(a, b), { a, b }) }), y, t)
      const exact = evaluate(Y, T)
      const rounded = evaluate(single(Y), single(T))
      expect(rounded.loss.underlyingType).toBe('single')
      expectClose(rounded.loss.values(), exact.loss.values(), 1e-6, 'loss')
      expectClose(rounded.a.values(), exact.a.values(), 1e-5, 'dY')
      expectClose(rounded.b.values(), exact.b.values(), 1e-5, 'dT')
    })
  }
})

describe('kernels', () => {
  beforeAll(() => setThreads(1))
  afterAll(() => setThreads(1))

  it('give the same bits on one and on several threads, at any size', () => {
    const stream = new RandomStream(7)
    for (const count of [1, 3, 4095, 4097, 50_003]) {
      const Y = dlarray(
        Float32Array.from({ length: count }, () => stream.uniform()),
        [count, 1],
      )
      const T = dlarray(
        Float32Array.from({ length: count }, () => stream.uniform()),
        [count, 1],
      )
      const upstream = dlarray([2])
      for (const term of ['crossentropy', 'binarycrossentropy', 'squared', 'absolute', 'huber'] as const) {
        const run = () =>
          [
            lossSumOperation.run({ Y, T }, { term, factor: 0.5 }),
            lossTermOperation.run({ Y, T }, { term, transitionPoint: 0.2 }),
            lossGradientOperation.run({ Y, T, upstream }, { term }),
          ].map((result) => result.values())
        setThreads(1)
        const alone = run()
        setThreads(3)
        run().forEach((values, i) => {
          expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(alone[i]!.buffer)), `${term} ${count}`).toBe(0)
        })
      }
    }
  })
})
