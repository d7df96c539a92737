import { describe, expect, it } from 'vitest'
import type { DlArray } from '../../../src/array/dlarray.js'
import { numel } from '../../../src/array/format.js'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import { plus, times } from '../../../src/operations/elementwise/arithmetic.js'
import { batchnorm, batchnormWithStatistics } from '../../../src/operations/normalization/batchnorm.js'
import { groupnorm } from '../../../src/operations/normalization/groupnorm.js'
import { instancenorm } from '../../../src/operations/normalization/instancenorm.js'
import { layernorm, type OperationDimension } from '../../../src/operations/normalization/layernorm.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { subscriptsOf } from '../../support/arrays.js'
import { DOUBLE, expectClose, SINGLE } from '../../support/close.js'
import { message } from '../../support/message.js'
import { normals } from '../../support/random.js'

type Type = 'single' | 'double'

const EPSILON = 1e-3

function random(size: readonly number[], format: string, type: Type, seed = 3, mean = 0, deviation = 1): DlArray {
  const draw = normals(seed)
  const values = Float64Array.from({ length: numel(size) }, () => Math.fround(mean + deviation * draw()))
  return dlarray(values, [...size], format, { type })
}

const channelsOf = (size: readonly number[], format: string) => size[format.indexOf('C')]!

function parameters(channels: number, type: Type) {
  const values = (f: (c: number) => number) => Float64Array.from({ length: channels }, (_, c) => Math.fround(f(c)))
  return {
    offset: dlarray(
      values((c) => 0.3 * c - 1),
      [channels],
      'C',
      { type },
    ),
    scale: dlarray(
      values((c) => 1.5 - 0.4 * c),
      [channels],
      'C',
      { type },
    ),
  }
}

/**
 * Means, variances and results by sums over all elements that share a key: the definition of every normalization, written
 * down without any layout of memory.
 */
function expected(X: DlArray, keyOf: (at: (label: string) => string) => string) {
  const values = X.values()
  const { offset, scale } = parameters(channelsOf(X.size, X.dims), 'double')
  const places = [...subscriptsOf(X.size)].map((subscript) => {
    const at = (label: string) => subscript.filter((_, d) => X.dims[d] === label).join()
    return { key: keyOf(at), channel: Number(at('C')) }
  })
  const groups = new Map<string, number[]>()
  places.forEach(({ key }, i) => {
    const group = groups.get(key)
    if (group) group.push(values[i]!)
    else groups.set(key, [values[i]!])
  })
  const statistics = new Map(
    [...groups].map(([key, group]) => {
      const mean = group.reduce((a, b) => a + b, 0) / group.length
      return [key, { mean, variance: group.reduce((a, b) => a + (b - mean) ** 2, 0) / group.length }]
    }),
  )
  const Y = places.map(({ key, channel }, i) => {
    const { mean, variance } = statistics.get(key)!
    return (scale.values()[channel]! * (values[i]! - mean)) / Math.sqrt(variance + EPSILON) + offset.values()[channel]!
  })
  return { Y, statistics }
}

const tolerance = { single: SINGLE, double: DOUBLE }

const shapes: [string, number[]][] = [
  ['SSCB', [5, 3, 6, 2]],
  ['SSCB', [23, 18, 6, 3]],
  ['SCB', [7, 6, 2]],
  ['SSSCB', [3, 2, 3, 6, 2]],
  ['CB', [6, 5]],
  ['CBT', [6, 2, 9]],
  ['SCBT', [4, 6, 2, 5]],
  ['SCBT', [40, 6, 2, 3]],
  ['SC', [9, 6]],
  ['CBU', [6, 2, 3]],
  ['SSCB', [1, 1, 6, 2]],
]

describe.each(['single', 'double'] as const)('%s', (type) => {
  describe.each(shapes)('%s %s', (format, size) => {
    const X = random(size, format, type, 3, 2)
    const channels = channelsOf(size, format)
    const { offset, scale } = parameters(channels, type)
    const options = { epsilon: EPSILON }

    it('batchnorm has one mean and variance for each channel', () => {
      const { Y, statistics } = expected(X, (at) => at('C'))
      const actual = batchnormWithStatistics(X, offset, scale, options)
      expect(actual.Y.dims).toBe(X.dims)
      expectClose(actual.Y.values(), Y, tolerance[type])
      expect([...actual.mu.size, actual.mu.dims]).toEqual([channels, 1, ''])
      const moments = [...statistics.values()]
      expectClose(
        actual.mu.values(),
        moments.map(({ mean }) => mean),
        tolerance[type],
      )
      expectClose(
        actual.sigmaSq.values(),
        moments.map(({ variance }) => variance),
        tolerance[type],
      )
      expect(batchnorm(X, offset, scale, options).values()).toEqual(actual.Y.values())
      // by the same statistics, given: rounding apart the same
      const given = batchnorm(X, offset, scale, actual.mu, actual.sigmaSq, options)
      expectClose(given.values(), Y, tolerance[type])
    })

    it.each([1, 2, 3, 6, 'all-channels', 'channel-wise'] as const)('groupnorm of %s', (numGroups) => {
      const groups = numGroups === 'all-channels' ? 1 : numGroups === 'channel-wise' ? channels : numGroups
      const each = channels / groups
      const { Y } = expected(X, (at) => `${Math.floor(Number(at('C')) / each)} ${at('B')}`)
      expectClose(groupnorm(X, numGroups, offset, scale, options).values(), Y, tolerance[type])
    })

    const rest: [OperationDimension, string][] = [
      ['channel-only', 'SBTU'],
      ['spatial-channel', 'BTU'],
      ['batch-excluded', 'B'],
      ['auto', format.includes('T') ? 'BTU' : 'B'],
    ]
    it.each(rest)('layernorm, %s', (operationDimension, apart) => {
      const { Y } = expected(X, (at) => [...apart].map(at).join(' '))
      const actual = layernorm(X, offset, scale, { ...options, operationDimension })
      expectClose(actual.values(), Y, tolerance[type])
      if (operationDimension === 'auto') expect(layernorm(X, offset, scale, options).values()).toEqual(actual.values())
    })
  })

  it('groupnorm of each channel, and batchnorm of one observation, are instancenorm', () => {
    const { offset, scale } = parameters(15, type)
    const X = random([13, 9, 15, 1], 'SSCB', type)
    const Y = instancenorm(X, offset, scale).values()
    expectClose(batchnorm(X, offset, scale).values(), Y, tolerance[type])
    expectClose(groupnorm(X, 15, offset, scale).values(), Y, tolerance[type])
  })
})

describe('digits of data with mean 1e4 and deviation 1e-2', () => {
  const kinds: [string, (X: DlArray, offset: DlArray, scale: DlArray) => DlArray][] = [
    ['batchnorm', (X, offset, scale) => batchnorm(X, offset, scale)],
    ['groupnorm', (X, offset, scale) => groupnorm(X, 2, offset, scale)],
    ['layernorm', (X, offset, scale) => layernorm(X, offset, scale)],
    [
      'layernorm of channels',
      (X, offset, scale) => layernorm(X, offset, scale, { operationDimension: 'channel-only' }),
    ],
  ]
  const sizes: [string, number[]][] = [
    ['SSCB', [57, 31, 4, 3]],
    ['SSCB', [3, 2, 8, 5]],
    ['CBT', [4, 3, 501]],
    ['CB', [4, 200]],
    ['SSCB', [300, 200, 2, 1]],
  ]
  it.each(kinds.flatMap(([name, norm]) => sizes.map(([format, size]) => [name, format, size, norm] as const)))(
    '%s %s %s',
    (_, format, size, norm) => {
      const [single, double] = (['single', 'double'] as const).map((type) => {
        const dy = random(size, format, type, 8)
        const { offset, scale } = parameters(channelsOf(size, format), type)
        return dlfeval(
          (x, scale, offset) => {
            const y = norm(x, offset, scale)
            return { y, ...dlgradient(sum(times(dy, y), 'all'), { x, scale, offset }) }
          },
          random(size, format, type, 3, 1e4, 1e-2),
          scale,
          offset,
        )
      })
      for (const name of ['y', 'x', 'scale', 'offset'] as const)
        expectClose(single![name].values(), double![name].values(), SINGLE, name)
    },
  )
})

describe('batchnorm', () => {
  it('updates the statistics of a data set', () => {
    const { offset, scale } = parameters(3, 'double')
    const batches = [0, 1, 2, 3].map((seed) => random([4, 3, 5], 'SCB', 'double', seed, seed))
    let mu: DlArray = dlarray([1, 2, 3], { type: 'double' })
    let sigmaSq: DlArray = dlarray([4, 5, 6], { type: 'double' })
    const means = [1, 2, 3]
    const variances = [4, 5, 6]
    const options = { meanDecay: 0.3, varianceDecay: 0.6 }
    for (const X of batches) {
      const alone = batchnormWithStatistics(X, offset, scale)
      const updated = batchnormWithStatistics(X, offset, scale, mu, sigmaSq, options)
      expect(updated.Y.values()).toEqual(alone.Y.values())
      ;({ mu, sigmaSq } = updated)
      for (let c = 0; c < 3; c++) {
        means[c] = 0.3 * alone.mu.values()[c]! + 0.7 * means[c]!
        variances[c] = 0.6 * alone.sigmaSq.values()[c]! + 0.4 * variances[c]!
      }
    }
    expectClose(mu.values(), means, DOUBLE)
    expectClose(sigmaSq.values(), variances, DOUBLE)
  })

  it.each([
    [[4000, 2, 9], [0]],
    [[4000, 2, 9], [30000]],
    [
      [4000, 2, 9],
      [0, 30000],
    ],
  ])('has the mean that double has where single elements are infinite: %j, %j', (size, places) => {
    const count = size.reduce((product, extent) => product * extent)
    for (const values of [
      [Infinity, Infinity],
      [-Infinity, Infinity],
    ]) {
      const mean = (type: Type) => {
        const elements = Float64Array.from({ length: count }, (_, i) => Math.sin(i))
        for (const [i, place] of places.entries()) elements[place] = values[i]!
        const { offset, scale } = parameters(2, type)
        return batchnormWithStatistics(dlarray(elements, size, 'SCB', { type }), offset, scale).mu.values()
      }
      expectClose(mean('single'), mean('double'), SINGLE, 'mean', 1)
    }
  })

  it('has decays of 0.1', () => {
    const { offset, scale } = parameters(2, 'double')
    const X = dlarray(
      [
        [1, 10],
        [3, 30],
      ],
      'SC',
      { type: 'double' },
    )
    const zero = dlarray([0, 0], { type: 'double' })
    const { mu, sigmaSq } = batchnormWithStatistics(X, offset, scale, zero, zero)
    expectClose(mu.values(), [0.2, 2], DOUBLE)
    expectClose(sigmaSq.values(), [0.1, 10], DOUBLE)
  })

  it.each(['single', 'double'] as const)('passes gradients on through mean and variance: %s', (type) => {
    const { offset, scale } = parameters(2, type)
    const [a, b] = [dlarray([2, -1], { type }), dlarray([0.5, 3], { type })]
    const values = Float64Array.from({ length: 12 }, (_, i) => Math.sin(i))
    const loss = (X: DlArray, dataset: boolean) => {
      const { Y, mu, sigmaSq } = dataset
        ? batchnormWithStatistics(X, offset, scale, a, b, { meanDecay: 0.4, varianceDecay: 0.7 })
        : batchnormWithStatistics(X, offset, scale)
      const parts = [sum(times(Y, Y), 'all'), sum(times(a, mu), 'all'), sum(times(b, times(sigmaSq, sigmaSq)), 'all')]
      return parts.map((part) => dlarray(part, '')).reduce((A, B) => plus(A, B))
    }
    for (const dataset of [false, true]) {
      const make = (moved: Float64Array) => dlarray(moved, [3, 2, 2], 'SCB', { type })
      const gradient = dlfeval((X) => dlgradient(loss(X, dataset), X), make(values)).values()
      if (type === 'single') {
        const X = dlarray(values, [3, 2, 2], 'SCB', { type: 'double' })
        const reference = dlfeval((X) => dlgradient(loss(X, dataset), X), X).values()
        expectClose(gradient, reference, 20 * SINGLE)
        continue
      }
      const numeric = values.map((_, i) => {
        const at = (h: number) => loss(make(values.map((value, k) => (k === i ? value + h : value))), dataset).item()
        return (at(-2e-3) - 8 * at(-1e-3) + 8 * at(1e-3) - at(2e-3)) / 12e-3
      })
      expectClose(gradient, numeric, 1e-8)
    }
  })

  it('has a variance of 0 where the channel is constant', () => {
    const X = dlarray(
      [
        [7, 1],
        [7, 2],
      ],
      'BC',
    )
    const { Y, mu, sigmaSq } = batchnormWithStatistics(X, dlarray([5, 5]), dlarray([1, 1]))
    expect([...mu.values()]).toEqual([7, 1.5])
    expect(sigmaSq.values()[0]).toBeLessThan(1e-11)
    expect(Y.values()[0]).toBe(5)
  })

  it.each(['single', 'double'] as const)('leaves statistics alone where there are no elements: %s', (type) => {
    const X = dlarray(new Float32Array(0), [4, 2, 0], 'SCB', { type })
    const { offset, scale } = parameters(2, type)
    const [datasetMu, datasetSigmaSq] = [dlarray([0.3, -7], { type }), dlarray([0.1, 5], { type })]
    const { Y, mu, sigmaSq } = batchnormWithStatistics(X, offset, scale, datasetMu, datasetSigmaSq)
    expect(Y.size).toEqual([4, 2, 0])
    expect([...mu.values()]).toEqual([...datasetMu.values()])
    expect([...sigmaSq.values()]).toEqual([...datasetSigmaSq.values()])
  })

  it.each(['single', 'double'] as const)('has no mean of no elements: %s', (type) => {
    const X = dlarray(new Float32Array(0), [4, 2, 0], 'SCB', { type })
    const { offset, scale } = parameters(2, type)
    const { Y, mu, sigmaSq } = batchnormWithStatistics(X, offset, scale)
    expect(Y.size).toEqual([4, 2, 0])
    expect([...mu.values(), ...sigmaSq.values()]).toEqual([NaN, NaN, NaN, NaN])
    const gradient = dlfeval((scale) => dlgradient(sum(batchnorm(X, offset, scale), 'all'), scale), scale)
    expect([...gradient.values()]).toEqual([0, 0])
  })
})

describe('unformatted data', () => {
  it('keeps its order', () => {
    const values = Float64Array.from({ length: 24 }, (_, i) => Math.sin(i * 1.7))
    const { offset, scale } = parameters(3, 'double')
    const formatted = dlarray(values, [4, 3, 2], 'TCB', { type: 'double' })
    const plain = dlarray(values, [4, 3, 2], { type: 'double' })
    const options = { dataFormat: 'TCB' }
    const pairs: [DlArray, DlArray][] = [
      [batchnorm(plain, offset, scale, options), batchnorm(formatted, offset, scale)],
      [batchnorm(plain, offset, scale, offset, scale, options), batchnorm(formatted, offset, scale, offset, scale)],
      [batchnormWithStatistics(plain, offset, scale, options).Y, batchnorm(formatted, offset, scale)],
      [groupnorm(plain, 1, offset, scale, options), groupnorm(formatted, 1, offset, scale)],
      [layernorm(plain, offset, scale, options), layernorm(formatted, offset, scale)],
    ]
    for (const [Y, F] of pairs) {
      expect([...Y.size, Y.dims]).toEqual([4, 3, 2, ''])
      const [y, f] = [Y.toNested() as number[][][], F.toNested() as number[][][]]
      expect(y[3]![2]![1]).toBeCloseTo(f[2]![1]![3]!, 12)
      expect(y[1]![0]![0]).toBeCloseTo(f[0]![0]![1]!, 12)
    }
  })
})

describe('errors', () => {
  const X = dlarray(new Float32Array(24), [4, 3, 2], 'SCB')
  const three = dlarray([1, 2, 3])
  it('say what is wrong', () => {
    expect(message(() => groupnorm(X, 2, three, three))).toMatchInlineSnapshot(
      `"DimensionError: groupnorm: expected channels that can be divided into 2 groups, but got 3 channels. Give a number of groups that divides the number of channels."`,
    )
    expect(message(() => groupnorm(X, 1.5, three, three))).toMatchInlineSnapshot(
      `"OptionError: groupnorm: expected for numGroups a positive whole number, 'all-channels' or 'channel-wise', but got 1.5. 'all-channels' makes one group of all, 'channel-wise' one of each channel."`,
    )
    expect(message(() => groupnorm(X, 'all' as 'all-channels', three, three))).toMatchInlineSnapshot(
      `"OptionError: groupnorm: expected for numGroups a positive whole number, 'all-channels' or 'channel-wise', but got 'all'. 'all-channels' makes one group of all, 'channel-wise' one of each channel."`,
    )
    expect(
      message(() => layernorm(X, three, three, { operationDimension: 'channels' as 'channel-only' })),
    ).toMatchInlineSnapshot(
      `"OptionError: layernorm: expected the operationDimension 'auto', 'channel-only', 'spatial-channel', 'batch-excluded', but got 'channels'. Leave it out for 'auto'."`,
    )
    expect(message(() => layernorm(X, dlarray([1, 2]), three))).toMatchInlineSnapshot(
      `"DimensionError: layernorm: expected offset with one element for each of the 3 channels, but got 2×1 unformatted for X of 4(S) × 3(C) × 2(B). Give offset 3 elements along one dimension."`,
    )
    expect(message(() => batchnorm(X, three, three, { epsilon: 0 }))).toMatchInlineSnapshot(
      `"OptionError: batchnorm: expected a positive finite epsilon, but got 0. It is added to the variance; 1e-5 is the default."`,
    )
    expect(message(() => batchnorm(X, three, three, dlarray([1, 2]), three))).toMatchInlineSnapshot(
      `"DimensionError: batchnorm: expected mu with one element for each of the 3 channels, but got 2×1 unformatted for X of 4(S) × 3(C) × 2(B). Give mu 3 elements along one dimension."`,
    )
    expect(message(() => batchnorm(X, three, three, three as never))).toMatchInlineSnapshot(
      `"OptionError: batchnorm: expected a mean and a variance, or neither, but got a mean alone. Give the variance as the argument behind the mean."`,
    )
    expect(
      message(() => batchnormWithStatistics(X, three, three, three, three, { meanDecay: 2 })),
    ).toMatchInlineSnapshot(
      `"OptionError: batchnormWithStatistics: expected a meanDecay from 0 to 1, but got 2. It is the part of the new statistics in the updated ones; 0.1 is the default."`,
    )
    expect(message(() => batchnorm(X, three, three, { meanDecay: 0.5 } as never))).toMatchInlineSnapshot(
      `"OptionError: batchnorm: expected options among epsilon, but got 'meanDecay'. Check the spelling, or leave it out."`,
    )
    expect(message(() => batchnormWithStatistics(X, three, three, { meanDecay: 0.5 } as never))).toMatchInlineSnapshot(
      `"OptionError: batchnormWithStatistics: expected meanDecay only with the statistics of a data set, but got 0.5. It is the part of the new statistics in the updated ones; 0.1 is the default."`,
    )
    expect(
      message(() => batchnormWithStatistics(X, three, three, three, three, { decay: 0.5 } as never)),
    ).toMatchInlineSnapshot(
      `"OptionError: batchnormWithStatistics: expected options among epsilon, meanDecay, varianceDecay, but got 'decay'. Did you mean meanDecay?"`,
    )
    expect(message(() => batchnormWithStatistics(X, three, dlarray([1, 2])))).toMatchInlineSnapshot(
      `"DimensionError: batchnormWithStatistics: expected scale with one element for each of the 3 channels, but got 2×1 unformatted for X of 4(S) × 3(C) × 2(B). Give scale 3 elements along one dimension."`,
    )
    expect(message(() => batchnormWithStatistics(dlarray([1, 2]), three, three))).toMatchInlineSnapshot(
      `"DimensionError: batchnormWithStatistics: expected an array with a channel dimension (C), but got 2×1 unformatted. Label it with dlarray(X, format) or give dataFormat."`,
    )
  })
})

describe('empty mini-batches', () => {
  it.each([
    ['CB', [6, 0]],
    ['CB', [1, 0]],
    ['SCB', [4, 3, 0]],
    ['SSCB', [2, 2, 2000, 0]],
    ['SSCB', [40, 40, 4, 0]],
    ['CBT', [4, 0, 2]],
    ['SCBT', [3, 4, 0, 70]],
  ])('%s %j give empty results and gradients of zero', (format, size) => {
    const channels = size[format.indexOf('C')]!
    const parameter = () => dlarray(new Float32Array(channels).fill(2), [channels], 'C')
    const byGroups = (X: DlArray, offset: DlArray, scale: DlArray) => groupnorm(X, 'channel-wise', offset, scale)
    for (const normalize of [instancenorm, layernorm, byGroups]) {
      const found = dlfeval(
        (X, offset, scale) => {
          const Y = normalize(X, offset, scale)
          return { Y, ...dlgradient(sum(Y, 'all'), { offset, scale, X }) }
        },
        dlarray([], size, format),
        parameter(),
        parameter(),
      )
      expect(found.Y.size).toEqual(size)
      expect(found.X.size).toEqual(size)
      expect([...found.offset.values(), ...found.scale.values()].every((value) => value === 0)).toBe(true)
    }
  })
})
