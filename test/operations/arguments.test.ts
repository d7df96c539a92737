import { describe, expect, it } from 'vitest'
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
  })
})
