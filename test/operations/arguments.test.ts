import { describe, expect, expectTypeOf, it } from 'vitest'
import { DlArray } from '../../src/array/dlarray.js'
import { asText, DlnetError } from '../../src/errors.js'
import * as dlnet from '../../src/index.js'

// What TypeScript would refuse, from programs that it does not see.

const X = dlnet.dlarray(new Float32Array(24), [2, 3, 4], 'SCB')

/** Functions of arrays, with the arguments behind the array that make a valid call. */
const functions: Readonly<Record<string, readonly unknown[]>> = {
  sum: [],
  mean: ['S'],
  prod: [],
  max: [[], 'S'],
  min: [[], 'S'],
  variance: [],
  std: [],
  relu: [],
  elu: [],
  softmax: [],
  flip: [],
  circshift: [1],
  repmat: [[1, 1, 2]],
  squeeze: [],
  reshape: [[24, 1]],
  stripdims: [],
  dims: [],
  extractdata: [],
  underlyingType: [],
  permute: [[1, 2, 3]],
  cast: ['double'],
}

const call = (name: string, ...given: readonly unknown[]) =>
  (dlnet as unknown as Record<string, (...all: readonly unknown[]) => unknown>)[name]!(...given)

function problemOf(fn: () => unknown): DlnetError['problem'] {
  try {
    fn()
  } catch (error) {
    if (!(error instanceof DlnetError)) throw error
    return error.problem
  }
  return expect.fail('nothing was thrown')
}

describe.each(Object.entries(functions))('%s', (name, rest) => {
  it('takes an array', () => {
    expect(call(name, X, ...rest)).toBeDefined()
  })

  it.each([undefined, null, 'x', 3n, {}, [], Symbol('s')])('tells what it got instead: %s', (wrong) => {
    const problem = problemOf(() => call(name, wrong, ...rest))
    for (const part of Object.values(problem)) expect(part).toMatch(/\S/)
  })
})

describe('other arguments', () => {
  it.each<[string, unknown[]]>([
    ['sum', [X, null]],
    ['sum', [X, X]],
    ['mean', [X, {}]],
    ['permute', [X, undefined]],
    ['permute', [X, 'abc']],
    ['reshape', [X, null]],
    ['repmat', [X, {}]],
    ['stripdims', [X, null]],
    ['finddim', [X, undefined]],
    ['cast', [X, undefined]],
    ['circshift', [X, []]],
    ['elu', [X, []]],
    ['avgpool', [X, null]],
    ['maxpoolWithIndices', [undefined, 2]],
    ['pagemtimes', [X, null]],
    ['pagemtimes', [X]],
    ['indexcrossentropy', [X, null]],
    ['randn', [10n]],
    ['randi', [undefined]],
    ['randn', [[1e5, 1e5]]],
    ['rand', [[2 ** 30]]],
    ['setFusion', [10n]],
    ['setBackend', [10n]],
    ['dlupdate', [null, X]],
    ['serializeArrays', [null]],
    ['parseIDX', [undefined]],
    ['piecewiseLearnRate', [null]],
    ['networkDataLayout', [10n]],
  ])('%s%s', (name, given) => {
    const problem = problemOf(() => call(name, ...given))
    for (const part of Object.values(problem)) expect(part).toMatch(/\S/)
  })

  it('of predictions: a network', async () => {
    for (const wrong of [undefined, null, {}, 5]) {
      await expect(call('minibatchpredict', wrong, X)).rejects.toThrow(dlnet.OptionError)
      await expect(call('testnet', wrong, X, X, 'rmse')).rejects.toThrow(/expected a dlnetwork/)
    }
  })
})

describe('numbers beside an array', () => {
  const image = dlnet.dlarray(
    Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)),
    [2, 2, 3, 2],
    'SSCB',
  )
  const offset = [0.5, -1, 2]
  const scale = Float64Array.from([1, 2, 3])
  const weights = Array.from({ length: 4 }, (_, o) => Array.from({ length: 12 }, (_, i) => o - i / 3))
  const filter = [[[[1, 2], [3, 4], [5, 6]]]] // biome-ignore format: short
  const matrix = dlnet.dlarray([[1, 2], [3, 4]]) // biome-ignore format: short
  const { dlarray } = dlnet

  it.each<[string, () => dlnet.DlArray, () => dlnet.DlArray]>([
    [
      'instancenorm',
      () => dlnet.instancenorm(image, offset, scale),
      () => dlnet.instancenorm(image, dlarray(offset), dlarray(scale)),
    ],
    [
      'groupnorm',
      () => dlnet.groupnorm(image, 3, offset, scale),
      () => dlnet.groupnorm(image, 3, dlarray(offset), dlarray(scale)),
    ],
    [
      'layernorm',
      () => dlnet.layernorm(image, offset, scale),
      () => dlnet.layernorm(image, dlarray(offset), dlarray(scale)),
    ],
    [
      'batchnorm',
      () => dlnet.batchnorm(image, offset, scale),
      () => dlnet.batchnorm(image, dlarray(offset), dlarray(scale)),
    ],
    [
      'batchnorm with statistics',
      () => dlnet.batchnorm(image, offset, scale, [0, 0.1, 0.2], scale, { epsilon: 0.1 }),
      () =>
        dlnet.batchnorm(image, dlarray(offset), dlarray(scale), dlarray([0, 0.1, 0.2]), dlarray(scale), {
          epsilon: 0.1,
        }),
    ],
    ['dlconv', () => dlnet.dlconv(image, filter, [1, 2]), () => dlnet.dlconv(image, dlarray(filter), dlarray([1, 2]))],
    [
      'fullyconnect',
      () => dlnet.fullyconnect(image, weights, scale.slice(0, 1)[0]),
      () => dlnet.fullyconnect(image, dlarray(weights), 1),
    ],
    [
      'fullyconnect with a bias',
      () => dlnet.fullyconnect(image, weights, [1, 2, 3, 4]),
      () => dlnet.fullyconnect(image, dlarray(weights), dlarray([1, 2, 3, 4])),
    ],
    ['plus', () => dlnet.plus(matrix, [10, 20]), () => dlnet.plus(matrix, dlarray([10, 20]))],
    ['minus', () => dlnet.minus([10, 20], matrix), () => dlnet.minus(dlarray([10, 20]), matrix)],
    ['power', () => dlnet.power([10, 20], matrix), () => dlnet.power(dlarray([10, 20]), matrix)],
    ['mtimes', () => dlnet.mtimes(matrix, [2, 5]), () => dlnet.mtimes(matrix, dlarray([2, 5]))],
    ['mtimes from the left', () => dlnet.mtimes([[2, 5]], matrix), () => dlnet.mtimes(dlarray([[2, 5]]), matrix)],
  ])('become arrays: %s', (_, listed, made) => {
    // biome-ignore format: table
    expect(listed().values()).toEqual(made().values())
    expect(listed().size).toEqual(made().size)
    expect(listed().dims).toBe(made().dims)
  })

  it('take the class of the array, and are freed', () => {
    const before = dlnet.memory().arrays
    dlnet.scope(() => {
      expect(dlnet.plus(dlarray([0.1, 0.2], { type: 'double' }), [0.1, 0.2]).values()).toEqual(
        new Float64Array([0.2, 0.4]),
      )
      const third = dlarray([1 / 3], { type: 'double' })
      expect(dlnet.times(third, [1 / 3]).underlyingType).toBe('double')
    })
    expect(dlnet.memory().arrays).toBe(before)
  })

  it('are differentiated through', () => {
    const gradient = dlnet.dlfeval(
      (x: dlnet.DlArray) => dlnet.dlgradient(dlnet.sum(dlnet.times(x, [3, 4]), 'all'), x),
      dlarray([1, 2]),
    )
    expect([...gradient.values()]).toEqual([3, 4])
  })

  it('tell what is wrong with them', () => {
    expect(problemOf(() => dlnet.instancenorm(image, [1, 2, 'x'] as never, scale)).got).toBe('string')
    expect(problemOf(() => dlnet.instancenorm(image, [1, 2, 'x'] as never, scale)).expects).toMatch(/at offset\[2\]/)
    expect(problemOf(() => dlnet.plus(matrix, [[1, 2], [3]])).call).toBe('plus') // biome-ignore format: short
    expect(problemOf(() => dlnet.plus([1], [2])).got).toBe('a JavaScript array')
    expect(problemOf(() => dlnet.mtimes([1], [2])).got).toBe('a JavaScript array')
    expect(problemOf(() => dlnet.instancenorm(image, [1, 2], scale)).call).toBe('instancenorm')
    expect(problemOf(() => dlnet.batchnorm(image, offset, scale, [1, 2, 3] as never)).got).toBe('a mean alone')
  })
})

describe('arrays in JavaScript', () => {
  it('become JSON and come back', () => {
    const text = JSON.stringify({ X })
    const { size, dims, underlyingType, values } = JSON.parse(text).X
    expect(text).toMatch(/^\{"X":\{"size":\[2,3,4\],"dims":"SCB","underlyingType":"single","values":\[0,0,/)
    const again = dlnet.dlarray(values, size, dims as 'SCB', { type: underlyingType })
    expect(again.dims).toBe(X.dims)
    expect(again.values()).toEqual(X.values())
  })

  it('are made of the pixels of a canvas, from row to row', () => {
    const image = { data: Uint8ClampedArray.from({ length: 24 }, (_, i) => i), width: 3, height: 2 }
    const Y = dlnet.dlarray(image, 'SSC')
    expectTypeOf(Y).toEqualTypeOf<dlnet.DlArray<'SSC'>>()
    expect(Y.size).toEqual([2, 3, 4])
    // Row 2, column 3: the last of six pixels.
    expect(dlnet.index(Y, 2, 3, ':').values()).toEqual(new Float32Array([20, 21, 22, 23]))
    expect(dlnet.index(Y, 1, 2, 4).item()).toBe(7)
    expect(dlnet.dlarray(image).dims).toBe('')
    expect(problemOf(() => dlnet.dlarray({ ...image, width: 4 }, 'SSC')).expects).toBe('32 elements for size [2, 4, 4]')
    expect(problemOf(() => dlnet.dlarray(image, 'SSC', { order: 'row' })).got).toBe('it with an image, which has one')
  })

  it('are freed at the end of a block that uses them', () => {
    let outside: dlnet.DlArray
    {
      using k = dlnet.dlarray(1)
      outside = k
      expect(k.item()).toBe(1)
    }
    expect(() => outside.item()).toThrow(dlnet.MemoryError)
  })
})

describe('asText', () => {
  it.each<[unknown, string]>([
    [NaN, 'NaN'],
    ['a', '"a"'],
    [undefined, 'undefined'],
    [null, 'null'],
    [10n, '10'],
    [[1, 2], '[1,2]'],
    [{ a: 1 }, '{"a":1}'],
    [new Map(), 'an object of class Map'],
    [Object.create(null), 'an object of class Object'],
    [Symbol('s'), 'Symbol(s)'],
  ])('%s', (value, text) => {
    expect(asText(value)).toBe(text)
  })

  it('knows arrays', () => {
    expect(X).toBeInstanceOf(DlArray)
    expect(asText(X)).toBe('an object of class DlArray')
    expect(asText([X, { of: X }])).toBe('["an object of class DlArray",{"of":"an object of class DlArray"}]')
  })

  it('reads no more of a list than it shows', () => {
    const unread = new Proxy([0], { get: (list, key) => (key === 'length' ? 1e9 : Reflect.get(list, key)) })
    expect(asText(unread)).toMatch(/^\[0,.*\.\.\.$/)
  })
})
