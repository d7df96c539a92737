import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type DlArray, trackCreation } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setBackend, wasmBackend } from '../../src/backends/current.js'
import { memory } from '../../src/backends/memory.js'
import { MemoryError } from '../../src/errors.js'
import { keep, scope } from '../../src/memory/scope.js'
import { cat } from '../../src/operations/arrays/concatenation.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { transpose } from '../../src/operations/arrays/permute.js'
import { repmat } from '../../src/operations/arrays/rearrangement.js'
import { stripdims } from '../../src/operations/arrays/relabel.js'
import { index } from '../../src/operations/arrays/subscripts.js'
import { plus, times } from '../../src/operations/elementwise/arithmetic.js'
import { relu } from '../../src/operations/elementwise/relu.js'
import { instancenorm } from '../../src/operations/normalization/instancenorm.js'
import { mean } from '../../src/operations/reductions/mean.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { message } from '../support/message.js'
import { alive } from '../support/storages.js'

// A heap of 32 MB, so that it can be filled at once.
vi.mock('../../src/backends/wasm/backend.js', async (original) => {
  const module = await original<typeof import('../../src/backends/wasm/backend.js')>()
  return { ...module, createWasmBackend: () => new module.WasmBackend({ maximumBytes: 32 * 2 ** 20, threads: 1 }) }
})

beforeAll(() => setBackend('wasm'))
afterAll(() => setBackend('wasm'))

const MEGABYTE = 2 ** 20

describe('memory', () => {
  it('reports arrays, storages and bytes, for each backend and together', () => {
    wasmBackend()
    scope(() => {
      const before = memory()
      const X = dlarray(new Float32Array(1000), [10, 100], 'CB')
      const view = stripdims(X)
      const Y = dlarray(new Float64Array(500), [500, 1], { type: 'double' })
      const after = memory()
      expect(after.arrays - before.arrays).toBe(3)
      expect(after.storages - before.storages).toBe(2)
      expect(after.bytesInUse - before.bytesInUse).toBe(8000)
      expect(after.backends.wasm!.bytesInUse - before.backends.wasm!.bytesInUse).toBe(4000)
      expect(after.backends.reference!.storages - before.backends.reference!.storages).toBe(1)
      expect(after.bytesReserved).toBeGreaterThanOrEqual(after.bytesInUse)
      expect(after.largest.slice(0, 2).map(({ text }) => text).sort()).toEqual([
        '10(C) × 100(B), single, 4000 bytes',
        '500×1 unformatted, double, 4000 bytes',
      ]) // biome-ignore format: as it is
      X.dispose()
      expect(memory().bytesInUse - before.bytesInUse).toBe(8000)
      view.dispose()
      Y.dispose()
      const end = memory()
      expect(end.bytesInUse).toBe(before.bytesInUse)
      expect(end.bytesPooled).toBeGreaterThan(0)
    })
  })

  it('names the line that made an array, while that is tracked', () => {
    scope(() => {
      trackCreation(true)
      const X = relu(dlarray(new Float32Array(3000), [3000, 1]))
      trackCreation(false)
      const { text } = memory().largest[0]!
      expect(text).toMatch(/^3000×1 unformatted, single, 12000 bytes, made at .*test\/memory\/memory\.test\.ts/)
      expect(X.numel).toBe(3000)
    })
  })
})

describe('a full heap', () => {
  it('names the largest arrays, suggests a scope, and loses nothing', () => {
    const before = alive()
    const made: DlArray[] = []
    const fill = () => {
      let X = dlarray(new Float32Array(MEGABYTE), [1024, 1024], 'CB')
      made.push(X)
      for (;;) {
        X = plus(X, 1)
        made.push(X)
      }
    }
    const text = message(fill)
    expect(text).toMatch(/^MemoryError: allocate: expected room for 4\.00 MB in the WebAssembly heap, but got /)
    expect(text).toContain('1024(C) × 1024(B), single, 4194304 bytes')
    expect(text).toContain('scope(')
    // Seven arrays of 4 MB fit; they are all intact, and the failed call left nothing.
    expect(made.length).toBeGreaterThanOrEqual(6)
    expect(alive().arrays).toBe(before.arrays + made.length)
    made.forEach((X, i) => {
      expect(scope(() => index(X, 7, 9).item())).toBe(i)
    })
    for (const X of made) X.dispose()
    // The memory can be used again, for other sizes too.
    scope(() => {
      expect(dlarray(new Float32Array(5 * MEGABYTE), [5 * MEGABYTE, 1]).numel).toBe(5 * MEGABYTE)
    })
    expect(memory().backends.wasm!.storages).toBe(0)
  })

  it('is told of in both classes, however much is asked for', () => {
    scope(() => {
      for (const type of ['single', 'double'] as const) {
        const X = dlarray(new Float32Array(200_000), [200_000, 1], { type })
        expect(() => plus(X, transpose(X))).toThrow(MemoryError)
      }
    })
  })

  it('inside dlfeval leaves the arrays that were there, and no trace open', () => {
    const X = dlarray(new Float32Array(MEGABYTE).fill(0.5), [MEGABYTE, 1])
    const before = alive()
    expect(() =>
      dlfeval((x: DlArray) => {
        let Y = x
        for (;;) Y = times(Y, x)
      }, X),
    ).toThrow(MemoryError)
    expect(alive()).toEqual(before)
    const small = dlarray([3])
    const gradient = dlfeval((x: DlArray) => dlgradient(sum(times(x, x), 'all'), x), small)
    expect(gradient.item()).toBe(6)
    for (const Y of [X, small, gradient]) Y.dispose()
  })

  it('is not reached by the same loop in a scope', () => {
    const before = alive()
    let X = keep(dlarray(new Float32Array(MEGABYTE), [MEGABYTE, 1]))
    for (let i = 0; i < 30; i++) {
      const next = scope(() => plus(times(X, 1), 1))
      X.dispose()
      X = next
    }
    expect(scope(() => index(X, 5).item())).toBe(30)
    X.dispose()
    expect(alive()).toEqual(before)
  })
})

describe('operations outside scopes', () => {
  const inputs = () => ({
    X: dlarray(new Float32Array(48).fill(1), [4, 3, 2, 2], 'SSCB'),
    plain: dlarray(new Float32Array(48).fill(1), [2, 4, 3, 2]),
    offset: dlarray([1, 2]),
    scale: dlarray([3, 4]),
  })
  const calls: Record<string, (x: ReturnType<typeof inputs>) => unknown> = {
    'plus with a number': ({ X }) => plus(X, 1),
    'dlarray with a format': ({ plain }) => dlarray(plain, 'BSSC'),
    'dlarray of elements that move': () => dlarray(new Float32Array(6), [2, 3], 'BC'),
    'dlarray in another class': ({ X }) => dlarray(X, 'BCSS', { type: 'double' }),
    'stripdims with an order': ({ X }) => stripdims(X, 'BCSS'),
    'index with lists': ({ X }) => index(X, [1, 4, 2], ':', 1, [2, 1, 1]),
    'index with fewer subscripts': ({ X }) => index(X, ':', [1, 5]),
    cat: ({ X }) => cat('B', X, X, X),
    repmat: ({ X }) => repmat(X, [1, 2, 3]),
    'mean over labels': ({ X }) => mean(X, 'SB'),
    'relu with dataFormat': ({ plain }) => relu(plain, { dataFormat: 'BSSC' }),
    instancenorm: ({ X, offset, scale }) => instancenorm(X, offset, scale),
    'instancenorm with dataFormat': ({ plain, offset, scale }) =>
      instancenorm(plain, offset, scale, { dataFormat: 'BSSC' }),
    'dlgradient in dlfeval': ({ X }) => dlfeval((x: DlArray) => dlgradient(sum(times(x, x), 'all'), x), X),
  }
  it.each(Object.keys(calls))('%s leaves its result and nothing else', (name) => {
    const given = inputs()
    const before = alive()
    calls[name]!(given)
    expect(alive().arrays).toBe(before.arrays + 1)
    for (const X of Object.values(given)) X.dispose()
  })
})
