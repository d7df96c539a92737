import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { DlArray } from '../../src/array/dlarray.js'
import { numel } from '../../src/array/format.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setBackend, setThreads, wasmBackend } from '../../src/backends/current.js'
import { keep, scope } from '../../src/memory/scope.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { reshape, stripdims } from '../../src/operations/arrays/relabel.js'
import { times } from '../../src/operations/elementwise/arithmetic.js'
import { relu } from '../../src/operations/elementwise/relu.js'
import { batchnorm } from '../../src/operations/normalization/batchnorm.js'
import { instancenorm } from '../../src/operations/normalization/instancenorm.js'
import { mean } from '../../src/operations/reductions/mean.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { expectClose, SINGLE } from '../support/close.js'
import { normals } from '../support/random.js'
import { alive } from '../support/storages.js'

// A product inside dlfeval waits to be written until it is read; outside it is written at once.

beforeAll(async () => {
  setThreads(2)
  await wasmBackend().ready()
})
afterEach(() => {
  vi.restoreAllMocks()
  setBackend('wasm')
})
afterAll(() => setThreads(1))

function random(size: readonly number[], format: string, seed: number, type: 'single' | 'double' = 'single'): DlArray {
  const draw = normals(seed)
  const values = Float64Array.from({ length: numel(size) }, () => Math.fround(draw()))
  return format === '' ? dlarray(values, size, { type }) : dlarray(values, size, format as 'SSCB', { type })
}

/** The kernels that `work` launches. */
function launchesOf(work: () => void): string[] {
  const launch = vi.spyOn(wasmBackend(), 'launch')
  work()
  const names = launch.mock.calls.map(([name]) => String(name))
  launch.mockRestore()
  return names
}

const evaluated = <T>(fn: () => T): T => dlfeval(fn as never) as T

describe('a sum of products', () => {
  it.each([
    [7, 5, 3, 6],
    [16, 37, 2, 4],
  ])('has the bits of the sum of the written product, over every choice of dimensions of %d, %d, %d, %d', (...size) => {
    const A = random(size, '', 1)
    const B = random(size, '', 2)
    for (const [name, reduce] of Object.entries({ sum, mean }))
      for (let choice = 0; choice < 16; choice++) {
        const over = [1, 2, 3, 4].filter((_, d) => choice & (1 << d))
        const written = scope(() => reduce(times(A, B), over)).values()
        expect(evaluated(() => reduce(times(A, B), over)).values(), `${name} over ${over}`).toEqual(written)
        const squares = scope(() => reduce(times(A, A), over)).values()
        expect(evaluated(() => reduce(times(A, A), over)).values(), `${name} of squares over ${over}`).toEqual(squares)
      }
  })

  it('has them over more runs of dimensions than a launch takes', () => {
    const size = [3, 2, 3, 2, 3, 2, 3, 2, 3]
    const A = random(size, '', 3)
    const B = random(size, '', 4)
    for (const over of [
      [1, 3, 5, 7, 9],
      [2, 4, 6, 8],
    ])
      expect(evaluated(() => sum(times(A, B), over)).values()).toEqual(scope(() => sum(times(A, B), over)).values())
  })

  it('of a million terms has the same bits with one and two threads, and does not write the product', () => {
    const A = random([1000, 1003], 'SC', 5)
    const B = random([1000, 1003], 'SC', 6)
    const total = () => evaluated(() => sum(times(A, B), 'all')).item()
    const written = scope(() => sum(times(A, B), 'all').item())
    expect(total()).toBe(written)
    setThreads(1)
    expect(total()).toBe(written)
    setThreads(2)
    expect(launchesOf(total)).toEqual(['reduce', 'reduceJoin'])
  })

  it('keeps what is not a number or infinite', () => {
    const A = dlarray([0, 1, 2, Number.NaN], [2, 2])
    const B = dlarray([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 1, 1], [2, 2])
    expect([...evaluated(() => sum(times(A, B), [1])).values()]).toEqual([Number.NaN, Number.NaN])
    expect([...evaluated(() => sum(times(A, B), [2])).values()]).toEqual([Number.NaN, Number.NaN])
    const C = dlarray([3, 1, 2, 0], [2, 2])
    expect([...evaluated(() => sum(times(C, B), [1])).values()]).toEqual([Number.POSITIVE_INFINITY, 2])
  })

  it('sees a product through another size and labels, and does not mistake an expanded one', () => {
    const A = random([4, 6], 'CB', 7)
    const B = random([4, 6], 'CB', 8)
    const row = random([1, 6], 'CB', 9)
    const written = scope(() => sum(reshape(times(A, B), [3, 8]), 1)).values()
    expect(evaluated(() => sum(reshape(times(A, B), [3, 8]), 1)).values()).toEqual(written)
    for (const other of [row, dlarray(1.5, 'UU')])
      expect(evaluated(() => sum(times(A, other), 'B')).values()).toEqual(
        scope(() => sum(times(A, other), 'B')).values(),
      )
  })

  it('is empty where its factors are', () => {
    const A = dlarray([], [0, 3])
    expect([...evaluated(() => sum(times(A, A), 1)).values()]).toEqual([0, 0, 0])
  })
})

describe('a product that waits', () => {
  const size = [9, 5, 2]
  const A = random(size, 'SCB', 10)
  const B = random(size, 'SCB', 11)
  const expected = times(A, B).values()

  it('is written when it is read, once', () => {
    const total = sum(times(A, B), 'all').item()
    const names = launchesOf(() =>
      evaluated(() => {
        const P = times(A, B)
        expect(P.values()).toEqual(expected)
        expect(P.toString()).toContain('dlarray')
        expect(stripdims(P).values()).toEqual(expected)
        expect(relu(P).values()).toEqual(expected.map((value) => Math.max(value, 0)))
        expect(sum(P, 'all').item()).toBe(total)
      }),
    )
    expect(names.filter((name) => name === 'binary')).toHaveLength(1)
  })

  it('outlives its factors', () => {
    const before = alive()
    evaluated(() => {
      const C = times(A, 2)
      const P = times(C, B)
      C.dispose()
      expect(P.values()).toEqual(expected.map((value) => 2 * value))
      const Q = times(times(A, 2), B)
      expect(Q.values()).toEqual(expected.map((value) => 2 * value))
    })
    expect(alive()).toEqual(before)
  })

  it('is written before dlfeval returns, whether returned or kept, so that its factors may change', () => {
    const before = alive()
    const C = random(size, 'SCB', 10)
    let kept: DlArray | undefined
    const returned = dlfeval((X) => {
      kept = keep(times(X, B))
      return { nested: [dlfeval((Y) => times(Y, B), X)] }
    }, C)
    C.storage.view().fill(0)
    expect(kept!.values()).toEqual(expected)
    expect(returned.nested[0]!.values()).toEqual(expected)
    for (const array of [C, kept!, returned.nested[0]!]) array.dispose()
    expect(alive()).toEqual(before)
  })

  it('lets go of its factors when dlfeval fails, and when nobody reads it', () => {
    const before = alive()
    expect(() =>
      evaluated(() => {
        times(times(A, 3), B)
        throw new Error('stop')
      }),
    ).toThrow('stop')
    expect(alive()).toEqual(before)
    const names = launchesOf(() =>
      evaluated(() => {
        times(A, B)
      }),
    )
    expect(names).toEqual([])
    expect(alive()).toEqual(before)
  })

  it('may stand in a chain longer than the stack', () => {
    const one = dlarray([1, 1], [2, 1])
    const last = evaluated(() => {
      let P: DlArray = dlarray([2, 3], [2, 1])
      for (let i = 0; i < 20000; i++) P = times(P, one)
      return P
    })
    expect([...last.values()]).toEqual([2, 3])
  })

  it('does not wait outside of dlfeval, in double, or on the reference backend', () => {
    expect(launchesOf(() => scope(() => times(A, B)))).toEqual(['binary'])
    const double = random(size, 'SCB', 10, 'double')
    expect(evaluated(() => times(double, double).storage.product)).toBeUndefined()
    setBackend('reference')
    expect(evaluated(() => times(A, B).storage.product)).toBeUndefined()
  })
})

describe('gradients through products that wait', () => {
  const size = [9, 7, 3, 4]
  const names = ['X', 'offset', 'scale'] as const

  /** Loss, gradients and gradients of gradients of a mean of products of a normalization. */
  function results(type: 'single' | 'double', normalize: (X: DlArray, offset: DlArray, scale: DlArray) => DlArray) {
    const W = random(size, 'SSCB', 20, type)
    const inputs = {
      X: random(size, 'SSCB', 21, type),
      offset: random([3], 'C', 22, type),
      scale: random([3], 'C', 23, type),
    }
    return dlfeval((given: typeof inputs) => {
      const loss = mean(times(normalize(given.X, given.offset, given.scale), W), 'all')
      const first = dlgradient(loss, given, { enableHigherDerivatives: true })
      const plain = dlgradient(loss, given, { retainData: true })
      const second = dlgradient(sum(times(first.X, first.X), 'all'), given)
      return { loss, first, plain, second }
    }, inputs)
  }

  it.each([
    ['instancenorm', (X: DlArray, offset: DlArray, scale: DlArray) => instancenorm(X, offset, scale)],
    ['batchnorm', (X: DlArray, offset: DlArray, scale: DlArray) => batchnorm(X, offset, scale)],
  ])('are those of double, to the second order: %s', (_, normalize) => {
    const single = results('single', normalize)
    const double = results('double', normalize)
    expectClose(single.loss.values(), double.loss.values(), SINGLE, 'loss', 1)
    for (const name of names) {
      expectClose(single.plain[name].values(), double.plain[name].values(), SINGLE, `plain ${name}`)
      expectClose(single.first[name].values(), double.first[name].values(), SINGLE, `first ${name}`)
      expect(single.plain[name].size).toEqual(double.plain[name].size)
      expect(single.plain[name].dims).toBe(double.plain[name].dims)
      // of numbers of the size 1 / numel
      expectClose(single.second[name].values(), double.second[name].values(), 10 * SINGLE, `second ${name}`, 1e-6)
    }
  })

  it('of a normalization do not write a number times an array', () => {
    const W = random(size, 'SSCB', 20)
    const X = random(size, 'SSCB', 21)
    const channel = random([3], 'C', 22)
    const launch = vi.spyOn(wasmBackend(), 'launch')
    dlfeval((x) => dlgradient(mean(times(instancenorm(x, channel, channel), W), 'all'), x), X)
    const long = launch.mock.calls.filter(([name, , { items }]) => name === 'binary' && items >= numel(size))
    expect(launch.mock.calls.map(([name]) => name)).toContain('normalizeTinyGradient')
    expect(long).toEqual([])
  })

  it('have the same bits with one and two threads', () => {
    const large = [64, 64, 5, 6]
    const run = () =>
      scope(() => {
        const W = random(large, 'SSCB', 20)
        const channel = random([5], 'C', 22)
        const gradients = dlfeval(
          (x, o) => dlgradient(mean(times(instancenorm(x, o, o), W), 'all'), [x, o]),
          random(large, 'SSCB', 21),
          channel,
        )
        return gradients.map((gradient) => gradient.values())
      })
    const two = run()
    setThreads(1)
    expect(run()).toEqual(two)
    setThreads(2)
  })
})
