import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { DlArray } from '../../src/array/dlarray.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setBackend } from '../../src/backends/current.js'
import { MemoryError } from '../../src/errors.js'
import { arraysIn, freeEarly, heldArrays, keep, openScope, scope } from '../../src/memory/scope.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { reshape } from '../../src/operations/arrays/relabel.js'
import { index } from '../../src/operations/arrays/subscripts.js'
import { plus, times } from '../../src/operations/elementwise/arithmetic.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { message } from '../support/message.js'
import { alive } from '../support/storages.js'

afterAll(() => setBackend('wasm'))

const isFreed = (X: DlArray) => String(X).endsWith('(freed)')

describe.each(['wasm', 'reference'] as const)('scope on %s', (backend) => {
  beforeEach(() => setBackend(backend))

  it('frees what is not returned, whatever container it is returned in', () => {
    const before = alive()
    const inside: DlArray[] = []
    const make = (value: number) => {
      const X = plus(dlarray([value, value]), 1)
      inside.push(X)
      return X
    }
    const holding = (array: DlArray) => ({ [heldArrays]: () => [array] })
    const result = scope(() => {
      make(0)
      return {
        alone: make(1),
        list: [make(2), { deep: make(3) }],
        map: new Map([['x', make(4)]]),
        holder: holding(make(5)),
        set: new Set([make(6)]),
        hidden: new (class {
          array = make(7)
        })(),
        number: 3,
      }
    })
    expect(inside.map(isFreed)).toEqual([true, false, false, false, false, false, false, true])
    expect(result.alone.values()).toEqual(Float32Array.of(2, 2))
    expect(arraysIn(result)).toHaveLength(6)
    for (const X of arraysIn(result)) X.dispose()
    expect(alive()).toEqual(before)
  })

  it('passes what inner scopes return to the outer one', () => {
    const before = alive()
    let inner: DlArray | undefined
    const result = scope(() => {
      inner = scope(() => dlarray([1]))
      expect(isFreed(inner)).toBe(false)
      return scope(() => plus(inner!, 1))
    })
    expect(isFreed(inner!)).toBe(true)
    expect(result.item()).toBe(2)
    result.dispose()
    expect(alive()).toEqual(before)
  })

  it('leaves arrays of outer scopes alone, and what views share', () => {
    const before = alive()
    scope(() => {
      const X = dlarray([[1, 2, 3]])
      const view = scope(() => reshape(X, [3]))
      expect(alive().storages).toBe(before.storages + 1)
      X.dispose()
      expect(view.values()).toEqual(Float32Array.of(1, 2, 3))
      expect(scope(() => X)).toBe(X)
    })
    expect(alive()).toEqual(before)
  })

  it('frees when its function throws, and keeps what earlier calls of an outer one made', () => {
    const before = alive()
    scope(() => {
      const X = dlarray([1])
      expect(() =>
        scope(() => {
          plus(X, 1)
          scope(() => {
            plus(X, 2)
            throw new Error('stop')
          })
        }),
      ).toThrow('stop')
      expect(X.item()).toBe(1)
      expect(alive().arrays).toBe(before.arrays + 1)
    })
    expect(alive()).toEqual(before)
    // No scope was left open: an array made now lives on.
    const Y = dlarray([1])
    expect(isFreed(Y)).toBe(false)
    Y.dispose()
  })

  it('keeps what is told to be kept, from however far inside', () => {
    const before = alive()
    const kept: DlArray[] = []
    scope(() => {
      const X = dlarray([1])
      scope(() => {
        kept.push(keep(plus(X, 1)), keep(X), keep(X))
      })
    })
    expect(kept.map((X) => X.item())).toEqual([2, 1, 1])
    for (const X of kept) X.dispose()
    for (const X of kept) X.dispose()
    expect(alive()).toEqual(before)
  })

  it('frees early what the innermost scope owns, and nothing else', () => {
    const before = alive()
    scope(() => {
      const outer = dlarray([1])
      scope(() => {
        const own = dlarray([2])
        const kept = keep(dlarray([3]))
        for (const X of [outer, own, kept]) freeEarly(X)
        expect([outer, own, kept].map(isFreed)).toEqual([false, true, false])
        kept.dispose()
      })
    })
    expect(alive()).toEqual(before)
  })

  it('does not accept promises, and a rejected one stays quiet', async () => {
    const before = alive()
    let made: DlArray | undefined
    const work = async () => {
      made = dlarray([1])
      await Promise.resolve()
      return plus(made, 1)
    }
    expect(message(() => scope(work as never))).toMatchInlineSnapshot(
      `"MemoryError: scope: expected a function that returns when its work is done, but got a function that returned a promise. Arrays would be freed while it runs: compute inside, return the result, and await outside; or use openScope()."`,
    )
    expect(isFreed(made!)).toBe(true)
    // The work goes on, finds its array freed and rejects: nobody is told twice.
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(alive()).toEqual(before)
  })

  it('lets go of an array once, however often it is disposed', () => {
    const before = alive()
    scope(() => {
      const X = dlarray([1, 2])
      const Y = reshape(X, [1, 2])
      X.dispose()
      X.dispose()
      expect(Y.values()).toEqual(Float32Array.of(1, 2))
    })
    expect(alive()).toEqual(before)
  })

  it('makes every use of a freed array an error that says so', () => {
    const X = scope(() => [dlarray([[1, 2]], 'CB')].map((Y) => () => Y))[0]!()
    for (const use of [
      () => X.values(),
      () => X.toNested(),
      () => plus(X, 1),
      () => times(2, X),
      () => sum(X, 'all'),
      () => reshape(X, [2, 1]),
      () => index(X, 1, 1),
      () => dlarray(X, 'SS'),
      () => dlfeval((x: DlArray) => dlgradient(sum(x, 'all'), x), X),
    ])
      expect(use).toThrow(MemoryError)
    expect(message(() => X.values())).toMatchInlineSnapshot(
      `"MemoryError: dlarray: expected an array whose memory is still held, but got an array of 1(C) × 2(B) that was freed, by dispose() or at the end of the scope that made it. Return it from the function given to scope, dlfeval or the network, or keep(X) it."`,
    )
    expect(X.size).toEqual([1, 2])
    expect(String(X)).toBe('1(C) × 2(B) dlarray (freed)')
  })
})

describe('openScope', () => {
  it('holds what its calls make until it is closed, across awaits', async () => {
    const before = alive()
    const work = openScope()
    const X = work.run(() => plus(dlarray([1]), 1))
    await Promise.resolve()
    const outside = dlarray([5])
    const Y = work.run(() => plus(X, outside))
    expect(Y.item()).toBe(7)
    const kept = work.run(() => plus(Y, 1))
    keep(kept)
    work.close()
    work.close()
    expect([X, Y, kept, outside].map(isFreed)).toEqual([true, true, false, false])
    kept.dispose()
    outside.dispose()
    expect(alive()).toEqual(before)
    expect(() => work.run(() => 1)).toThrow(MemoryError)
  })

  it('frees what a call made that threw, and only that', () => {
    const before = alive()
    const work = openScope()
    const X = work.run(() => dlarray([1]))
    expect(() =>
      work.run(() => {
        plus(X, 1)
        throw new Error('stop')
      }),
    ).toThrow('stop')
    expect(X.item()).toBe(1)
    expect(alive().arrays).toBe(before.arrays + 1)
    work.close()
    expect(alive()).toEqual(before)
  })

  it('ends what its calls made inside other scopes, not before', () => {
    const work = openScope()
    const X = scope(() => work.run(() => plus(dlarray([1]), 1)))
    expect(X.item()).toBe(2)
    work.close()
    expect(isFreed(X)).toBe(true)
  })

  it('may stand inside scopes and end with `using`', () => {
    const before = alive()
    scope(() => {
      const work = openScope()
      const X = work.run(() => scope(() => plus(dlarray([1]), 1)))
      expect(X.item()).toBe(2)
      work[Symbol.dispose]()
      expect(isFreed(X)).toBe(true)
    })
    expect(alive()).toEqual(before)
  })
})

describe('arrays outside scopes', () => {
  it('give their memory back some time after nobody can reach them', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const before = alive()
    const make = () => {
      for (let i = 0; i < 100; i++) plus(dlarray([i]), 1)
    }
    make()
    expect(alive().arrays).toBeGreaterThanOrEqual(before.arrays + 200)
    for (let i = 0; i < 100 && alive().arrays > before.arrays; i++) {
      collect()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    // One may still be on the stack.
    expect(alive().arrays).toBeLessThanOrEqual(before.arrays + 2)
  })

  it('are not collected while they can be reached', () => {
    const X = new DlArray(dlarray([1]).storage, [1, 1], '', 'single')
    expect(X.item()).toBe(1)
    X.dispose()
  })
})
