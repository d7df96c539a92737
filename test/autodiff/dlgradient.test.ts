import { describe, expect, expectTypeOf, it } from 'vitest'
import type { DlArray, Nested } from '../../src/array/dlarray.js'
import { dlfeval, tracedCopy } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { tapeOf, withoutRecording } from '../../src/autodiff/record.js'
import { GradientError } from '../../src/errors.js'
import { heldArrays, keep, scope } from '../../src/memory/scope.js'
import { dlarray, extractdata } from '../../src/operations/arrays/dlarray.js'
import { stripdims } from '../../src/operations/arrays/relabel.js'
import { index } from '../../src/operations/arrays/subscripts.js'
import { minus, plus, rdivide, times } from '../../src/operations/elementwise/arithmetic.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { message } from '../support/message.js'
import { alive } from '../support/storages.js'

const double = (values: Nested) => dlarray(values, { type: 'double' })
const total = (X: DlArray) => sum(X, 'all')

/** 100 (x2 - x1^2)^2 + (1 - x1)^2, from a list of two scalars. */
function rosenbrock(x1: DlArray, x2: DlArray): DlArray {
  const a = minus(x2, times(x1, x1))
  const b = minus(1, x1)
  return plus(times(100, times(a, a)), times(b, b))
}

/** Runs `fn` with a traced 2. */
const at2 = <T>(fn: (x: DlArray) => T): T => dlfeval(fn as never, double(2)) as T

/** Whether an array of this test is traced now. */
const isTraced = (X: DlArray) => tapeOf([X]) !== undefined

describe('gradients', () => {
  it('are those of the documentation, for one array of two', () => {
    const [y, gradient] = dlfeval(
      (x: DlArray) => {
        const value = rosenbrock(index(x, 1), index(x, 2))
        return [value, dlgradient(value, x)] as const
      },
      double([[-1, 2]]),
    )
    expect(y.item()).toBe(104)
    expect(gradient.size).toEqual([1, 2])
    expect(gradient.toNested()).toEqual([[396, 200]])
  })

  it('are those of the documentation, for two scalars', () => {
    const result = dlfeval(
      (x1: DlArray, x2: DlArray) => {
        const y = rosenbrock(x1, x2)
        return { y, gradients: dlgradient(y, [x1, x2]) }
      },
      double(-1),
      double(2),
    )
    expect(result.y.item()).toBe(104)
    expect(result.gradients.map((g) => g.item())).toEqual([396, 200])
  })

  it('have the shape of the container they were asked for', () => {
    const network = {
      layers: [{ weights: double([1, 2]), bias: double(3) }],
      name: 'small',
      extra: new Map([['x', double([[4, 5]])]]),
      learnables: [{ layer: 'fc', parameter: 'Weights', value: double(6) }],
    }
    const gradients = dlfeval((p: typeof network) => {
      const parts = [
        total(p.layers[0]!.weights),
        total(times(2, p.layers[0]!.bias)),
        total(times(3, p.extra.get('x')!)),
        total(times(4, p.learnables[0]!.value)),
      ]
      return dlgradient(
        parts.reduce((a, b) => plus(a, b)),
        p,
      )
    }, network)
    expect(gradients.layers[0]!.weights.toNested()).toEqual([[1], [1]])
    expect(gradients.layers[0]!.bias.item()).toBe(2)
    expect(gradients.name).toBe('small')
    expect(gradients.extra.get('x')!.toNested()).toEqual([[3, 3]])
    expect(gradients.learnables[0]).toMatchObject({ layer: 'fc', parameter: 'Weights' })
    expect(gradients.learnables[0]!.value.item()).toBe(4)
    expect(at2((x) => dlgradient(times(x, x), []))).toEqual([])
  })

  it('are zeros of the right size and class where the loss does not depend on a variable', () => {
    const [a, b, c] = dlfeval(
      (x: DlArray, y: DlArray, z: DlArray) => dlgradient(total(x), [x, y, z]),
      double([1, 2]),
      dlarray([[1, 2, 3]], 'CB'),
      dlarray([1], { type: 'logical' }),
    )
    expect(a!.values()).toEqual(Float64Array.of(1, 1))
    expect(b!.values()).toEqual(Float32Array.of(0, 0, 0))
    expect(b!.dims).toBe('CB')
    expect(c!.underlyingType).toBe('single')
  })

  it('add up over every use of an array', () => {
    expect(at2((x) => dlgradient(plus(plus(times(x, x), x), times(3, x)), x)).item()).toBe(8)
    const many = at2((x) => {
      let y = x
      for (let i = 0; i < 100; i++) y = plus(y, x)
      return dlgradient(y, x)
    })
    expect(many.item()).toBe(101)
    // Both operands the same array, and the same variable asked for twice.
    expect(at2((x) => dlgradient(times(x, x), [x, x])).map((g) => g.item())).toEqual([4, 4])
  })

  it('go with respect to what was computed on the way, and to the loss itself', () => {
    const [dx, dy, dz] = at2((x) => {
      const y = times(x, x)
      const z = times(3, y)
      return dlgradient(z, [x, y, z])
    })
    expect([dx, dy, dz].map((g) => g!.item())).toEqual([12, 3, 1])
  })

  it('keep formats, and take formatted scalars as losses', () => {
    const gradient = dlfeval((x: DlArray) => dlgradient(sum(times(x, x), 'all'), x), dlarray([[1, 2]], 'BC')) // biome-ignore format: one thing
    expect(gradient.dims).toBe('CB')
    expect(gradient.size).toEqual([2, 1])
  })

  it('of another class than the loss have the class of the variable', () => {
    const [a, b] = dlfeval((x: DlArray, y: DlArray) => dlgradient(total(times(x, y)), [x, y]), double([1, 2]), dlarray([3, 4])) // biome-ignore format: one thing
    expect(a!.underlyingType).toBe('double')
    expect(b!.underlyingType).toBe('single')
    expect(a!.values()).toEqual(Float64Array.of(3, 4))
  })

  it('go through 20,000 operations, one after the other', () => {
    const gradient = dlfeval(
      (x: DlArray) => {
        let y = x
        for (let i = 0; i < 20_000; i++) y = plus(y, x)
        return dlgradient(total(y), x)
      },
      double([1, 2]),
    )
    expect(gradient.values()).toEqual(Float64Array.of(20_001, 20_001))
  })
})

describe('higher derivatives', () => {
  const power = (x: DlArray, n: number) => Array.from({ length: n - 1 }).reduce<DlArray>((y) => times(y, x), x)

  it('of x^5, four times over', () => {
    const derivatives = at2((x) => {
      const results = [power(x, 5)]
      for (let n = 1; n <= 4; n++) results.push(dlgradient(results.at(-1)!, x, { enableHigherDerivatives: true }))
      return results
    })
    // 32, 5 x^4, 20 x^3, 60 x^2, 120 x.
    expect(derivatives.map((d) => d.item())).toEqual([32, 80, 160, 240, 240])
  })

  it('of 1 / x, three times over', () => {
    const third = at2((x) => {
      let y: DlArray = rdivide(1, x)
      for (let n = 0; n < 3; n++) y = dlgradient(y, x, { enableHigherDerivatives: n < 2 })
      return y
    })
    expect(third.item()).toBeCloseTo(-6 / 16, 12)
  })

  it('of two variables: the mixed derivative, and a penalty on the gradient', () => {
    const [mixed, penalty] = dlfeval(
      (x: DlArray, y: DlArray) => {
        const f = times(times(x, x), times(y, times(y, y)))
        const dx = dlgradient(f, x, { enableHigherDerivatives: true })
        return [
          dlgradient(dx, y, { retainData: true }),
          dlgradient(total(times(dx, dx)), y), // biome-ignore format: one thing
        ] as const
      },
      double(2),
      double(3),
    )
    // f = x^2 y^3: df/dx = 2 x y^3; its derivative by y 6 x y^2; of its square 2 (2 x y^3) (6 x y^2).
    expect(mixed.item()).toBe(108)
    expect(penalty.item()).toBe(2 * 108 * 108)
  })

  it('are zero where the gradient no longer depends on the variable', () => {
    const second = at2((x) => {
      const first = dlgradient(times(3, x), x, { enableHigherDerivatives: true })
      return dlgradient(first, x)
    })
    expect(second.item()).toBe(0)
    const independent = dlfeval((x: DlArray, y: DlArray) => {
      const first = dlgradient(times(x, x), y, { enableHigherDerivatives: true })
      return dlgradient(first, x)
    }, double(1), double(2)) // biome-ignore format: one thing
    expect(independent.item()).toBe(0)
  })

  it('are not recorded unless asked for', () => {
    expect(() =>
      at2((x) => {
        const first = dlgradient(times(x, x), x, { retainData: true })
        expect(isTraced(first)).toBe(false)
        return dlgradient(first, x)
      }),
    ).toThrow(GradientError)
  })
})

describe('retainData', () => {
  it('lets a second call use the same trace', () => {
    const [a, b] = at2((x) => {
      const y = times(x, x)
      const z = times(y, 3)
      return [dlgradient(z, x, { retainData: true }), dlgradient(y, x)] as const
    })
    expect([a.item(), b.item()]).toEqual([12, 4])
  })

  it('is missed by a second call, which says so', () => {
    const second = () =>
      at2((x) => {
        const y = times(x, x)
        dlgradient(y, x)
        return dlgradient(y, x)
      })
    expect(message(second)).toMatchInlineSnapshot(
      `"GradientError: dlgradient: expected a trace that still holds its data, but got one whose data an earlier dlgradient gave back (at times). Give the earlier call { retainData: true }, or ask for all gradients in one call."`,
    )
  })

  it('gives memory back at once when it is not wanted', () => {
    scope(() => {
      const X = dlarray(new Float32Array(1000), [1000, 1])
      const counts = dlfeval((x: DlArray) => {
        const y = total(times(times(x, x), x))
        const recorded = alive().arrays
        dlgradient(y, x)
        return { recorded, after: alive().arrays }
      }, X)
      // The gradient is one array more; what the two products had saved is gone.
      expect(counts.after).toBeLessThan(counts.recorded)
    })
  })
})

describe('dlfeval', () => {
  it('traces arrays in lists, records, maps and objects that give traced copies', () => {
    class Holder {
      constructor(readonly weight: DlArray) {}
      [tracedCopy](trace: (array: DlArray) => DlArray) {
        return new Holder(trace(this.weight))
      }
      [heldArrays]() {
        return [this.weight]
      }
    }
    const result = dlfeval(
      (holder: Holder, list: DlArray[], map: Map<string, DlArray>, factor: number) => {
        const y = times(times(holder.weight, list[0]!), times(map.get('m')!, factor))
        return { gradients: dlgradient(y, [holder.weight, list, map] as const), holder }
      },
      new Holder(double(2)),
      [double(3)],
      new Map([['m', double(5)]]),
      7,
    )
    expect(result.gradients[0].item()).toBe(105)
    expect(result.gradients[1][0]!.item()).toBe(70)
    expect(result.gradients[2].get('m')!.item()).toBe(42)
    expect(result.holder.weight.item()).toBe(2)
  })

  it('returns arrays that are no longer traced, and leaves its inputs alone', () => {
    const X = double(2)
    const escaped: DlArray[] = []
    const Y = dlfeval((x: DlArray) => {
      expect(isTraced(x)).toBe(true)
      expect(isTraced(X)).toBe(false)
      const y = times(x, x)
      expect(isTraced(y)).toBe(true)
      escaped.push(keep(times(y, 1)))
      return y
    }, X)
    expect(Y.trace).toBeUndefined()
    expect(isTraced(Y)).toBe(false)
    expect(() => dlfeval((x: DlArray) => dlgradient(Y, x), X)).toThrow(GradientError)
    // What was kept by hand is a plain value in a later call.
    expect(at2((x) => dlgradient(times(x, escaped[0]!), x)).item()).toBe(4)
  })

  it('leaves no arrays and no trace behind, also when its function throws', () => {
    const X = dlarray([1, 2])
    const start = alive()
    const failing = [
      () =>
        dlfeval((x: DlArray) => {
          times(x, x)
          throw new Error('stop')
        }, X),
      () => dlfeval((x: DlArray) => dlgradient(times(x, x), x), X),
      () => dlfeval((x: DlArray) => plus(x, dlarray([1, 2, 3])), X),
      () =>
        dlfeval((x: DlArray) => {
          dlfeval((z: DlArray) => dlgradient(z, z), times(x, x))
        }, X),
    ]
    for (const fail of failing) {
      expect(fail).toThrow()
      expect(alive()).toEqual(start)
      expect(isTraced(X)).toBe(false)
      expect(scope(() => plus(X, 1).trace)).toBeUndefined()
    }
    X.dispose()
  })

  it('inside another shares its trace: the outer gradient goes through', () => {
    const gradient = at2((x) => {
      const inner = dlfeval((z: DlArray) => times(z, z), times(x, x))
      return dlgradient(times(inner, 5), x)
    })
    expect(gradient.item()).toBe(5 * 4 * 8)
    // The gradient of an inner function, differentiated by the outer one: d/dx (3 x^2) = 6 x.
    const second = at2((x) => {
      const slope = dlfeval((z: DlArray) => dlgradient(times(times(z, z), z), z, { enableHigherDerivatives: true }), x)
      return dlgradient(slope, x)
    })
    expect(second.item()).toBe(12)
    // The outer variable is known inside.
    const through = at2((x) => dlfeval((z: DlArray) => dlgradient(times(z, x), [z, x]), double(7)))
    expect(through.map((g) => g.item())).toEqual([2, 7])
  })

  it('records nothing where recording is switched off, and may be called there', () => {
    at2((x) => {
      withoutRecording(() => {
        expect(isTraced(times(x, x))).toBe(false)
        const own = dlfeval((z: DlArray) => dlgradient(times(times(z, z), x), z), double(3))
        expect(own.item()).toBe(12)
      })
      expect(isTraced(times(x, x))).toBe(true)
    })
  })

  it('says what is wrong with its function', () => {
    expect(message(() => dlfeval(3 as never))).toMatchInlineSnapshot(
      `"OptionError: dlfeval: expected a function and its inputs, but got number. Call dlfeval((x) => ..., x)."`,
    )
    expect(message(() => dlfeval((async (x: DlArray) => x) as never, double(1)))).toMatch(/^MemoryError: .*a promise/)
  })
})

describe('several variables', () => {
  it('give a list of gradients, as one list of them does', () => {
    dlfeval(
      (x: DlArray<'CB'>, y: DlArray) => {
        const loss = total(times(times(x, x), y))
        const options = { retainData: true }
        const [dx, dy] = dlgradient(loss, x, y, options)
        const [again, { list }] = dlgradient(loss, y, { list: [x] }, options)
        expectTypeOf(dx).toEqualTypeOf<DlArray<'CB'>>()
        expectTypeOf(list).toEqualTypeOf<DlArray<'CB'>[]>()
        expect(dx.values()).toEqual(times(times(x, y), 2).values())
        expect(dy.values()).toEqual(times(x, x).values())
        expect(again.values()).toEqual(dy.values())
        expect(list[0]!.values()).toEqual(dx.values())
        // The last call of all needs no data afterwards.
        const all = dlgradient(loss, x, y, x)
        expectTypeOf(all).toEqualTypeOf<[DlArray<'CB'>, DlArray, DlArray<'CB'>]>()
        expect(all).toHaveLength(3)
        expect(all[2].values()).toEqual(dx.values())
        expect(() => dlgradient(loss, x)).toThrow(/gave back/)
      },
      dlarray([[1, 2, 3]], 'CB'),
      dlarray([[4, 5, 6]], 'CB'),
    )
  })
})

describe('errors of dlgradient', () => {
  const cases: Record<string, () => unknown> = {
    'a loss that is no scalar': () => dlfeval((x: DlArray) => dlgradient(times(x, x), x), dlarray([[1, 2, 3]], 'CB')),
    'a loss that is no array': () => at2((x) => dlgradient(3 as never, x)),
    'outside dlfeval': () => dlgradient(double(1), double(1)),
    'a loss that went through extractdata': () =>
      at2((x) => dlgradient(dlarray(extractdata(times(x, x)), [1, 1], { type: 'double' }), x)),
    'a variable that is not traced': () => at2((x) => dlgradient(times(x, x), dlarray([[1, 2]], 'CB'))),
    'one of several that is not traced': () => at2((x) => dlgradient(times(x, x), { x, other: double([1, 2]) })),
    'no variable': () => at2((x) => dlgradient(times(x, x), undefined)),
    'an object that holds none': () => at2((x) => dlgradient(times(x, x), new Date())),
    'an option that there is none of': () => at2((x) => dlgradient(times(x, x), x, { retain: true } as never)),
    'options in pairs': () => at2((x) => dlgradient(times(x, x), x, 'RetainData' as never, true as never)),
    'the second of two that is not traced': () => at2((x) => dlgradient(times(x, x), x, double(1))),
    'an option that is no boolean': () => at2((x) => dlgradient(times(x, x), x, { retainData: 1 as never })),
  }
  it.each(Object.keys(cases))('%s', (name) => {
    const start = alive()
    expect(message(cases[name]!)).toMatchSnapshot()
    expect(alive().arrays - start.arrays).toBeLessThanOrEqual(3)
  })

  it('are not caused by labels: a loss without its labels is a loss', () => {
    expect(dlfeval((x: DlArray) => dlgradient(stripdims(total(x)), x), dlarray([[1, 2]], 'CB')).dims).toBe('CB')
  })
})
