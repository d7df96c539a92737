import { afterAll, describe, expect, it } from 'vitest'
import type { DlArray } from '../../../src/array/dlarray.js'
import { dlfeval } from '../../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../../src/autodiff/dlgradient.js'
import { createWasmBackend } from '../../../src/backends/wasm/backend.js'
import { dlarray } from '../../../src/operations/arrays/dlarray.js'
import {
  chooseFilterGradient,
  choosePhases,
  chooseProduct,
  chooseTransposedPhases,
} from '../../../src/operations/convolution/convolution-choice.js'
import {
  type ConvolutionGeometry,
  convolutionGeometry,
} from '../../../src/operations/convolution/convolution-geometry.js'
import {
  launchBiasGradient,
  launchConvolve,
  launchConvolveTransposed,
  launchFilterGradient,
} from '../../../src/operations/convolution/convolution-launch.js'
import {
  referenceConvolve,
  referenceConvolveTransposed,
  referenceFilterGradient,
} from '../../../src/operations/convolution/convolution-reference.js'
import { dlconv } from '../../../src/operations/convolution/dlconv.js'
import { dltranspconv } from '../../../src/operations/convolution/dltranspconv.js'
import { times } from '../../../src/operations/elementwise/arithmetic.js'
import { convolutionProduct } from '../../../src/operations/products/implicit-product.js'
import { sum } from '../../../src/operations/reductions/sum.js'
import { DOUBLE, expectClose, SINGLE } from '../../support/close.js'
import { describeGolden, type GoldenArray } from '../../support/golden.js'

interface Case {
  format: string
  stride: number
  dilation: number
  padding: [number, number]
  cropping: [number, number]
  groups: number
  x: GoldenArray
  weights: GoldenArray
  bias: GoldenArray
  dy: GoldenArray
  y: GoldenArray
  dx: GoldenArray
  dweights: GoldenArray
  dbias: GoldenArray
}

/** `[begin, end]` on each of `rank` dimensions, as two rows. */
const rows = ([begin, end]: [number, number], rank: number) => [Array(rank).fill(begin), Array(rank).fill(end)]

function checkCases(
  cases: Case[],
  name: (one: Case) => string,
  compute: (x: DlArray, weights: DlArray, bias: DlArray, one: Case, rank: number) => DlArray,
  weightsSize: (one: Case, rank: number) => number[],
) {
  for (const type of ['double', 'single'] as const)
    for (const one of cases)
      it(`${one.format}, ${name(one)}, ${type}`, () => {
        const rank = one.format.length - 2
        const array = (values: GoldenArray, size = values.size) =>
          dlarray(Float64Array.from(values.data), size.length === 1 ? [size[0]!, 1] : size, { type })
        const x = dlarray(Float64Array.from(one.x.data), one.x.size, one.format, { type })
        const dy = dlarray(Float64Array.from(one.dy.data), one.dy.size, one.format, { type })
        const result = dlfeval(
          (x, weights, bias) => {
            const y = compute(x, weights, bias, one, rank)
            return { y, ...dlgradient(sum(times(dy, y), 'all'), { x, weights, bias }) }
          },
          x as DlArray,
          array(one.weights, weightsSize(one, rank)),
          array(one.bias),
        )
        expect(result.y.dims).toBe(one.format)
        expect(result.y.size).toEqual(one.y.size)
        const tolerance = type === 'double' ? DOUBLE : SINGLE
        expectClose(result.y.values(), one.y.data, tolerance, 'y')
        expectClose(result.x.values(), one.dx.data, tolerance, 'dx')
        expectClose(result.weights.values(), one.dweights.data, tolerance, 'dweights')
        expectClose(result.bias.values(), one.dbias.data, tolerance, 'dbias')
      })
}

describeGolden<Case[]>('convolution', (cases) => {
  checkCases(
    cases,
    (one) => `stride ${one.stride}, dilation ${one.dilation}, padding ${one.padding}, groups ${one.groups}`,
    (x, weights, bias, one, rank) =>
      dlconv(x, weights, bias, {
        stride: one.stride,
        dilationFactor: one.dilation,
        padding: rows(one.padding, rank),
      }),
    // Filters of a group lie together, so the last dimension splits into filters per group and groups.
    ({ weights: { size }, groups }, rank) => [...size.slice(0, rank + 1), size[rank + 1]! / groups, groups],
  )
})

describeGolden<Case[]>('transposedconv', (cases) => {
  checkCases(
    cases,
    (one) => `stride ${one.stride}, cropping ${one.cropping}`,
    (x, weights, bias, one, rank) =>
      dltranspconv(x, weights, bias, { stride: one.stride, cropping: rows(one.cropping, rank) }),
    ({ weights }) => weights.size,
  )
})

// Random geometries: the kernels against the plain loops, on one and on several threads, in whole and in pieces.
describe('convolution kernels', () => {
  let state = 20
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  const pick = (values: readonly number[]) => values[Math.floor(random() * values.length)]!
  const one = createWasmBackend({ threads: 1, maximumBytes: 2 ** 28 })
  const two = createWasmBackend({ threads: 2, maximumBytes: 2 ** 28 })
  afterAll(() => Promise.all([one.dispose(), two.dispose()]))

  function compare(g: ConvolutionGeometry) {
    const numberOf = (values: readonly number[]) => values.reduce((a, b) => a * b, 1)
    const counts = {
      X: numberOf(g.image) * g.channels * g.groups * g.observations,
      Y: numberOf(g.output) * g.filters * g.groups * g.observations,
      weights: numberOf(g.taps) * g.channels * g.filters * g.groups,
      bias: g.filters * g.groups,
    }
    const values = (count: number) => Float64Array.from({ length: count }, () => Math.fround(2 * random() - 1))
    const [X, dY, W, bias] = [values(counts.X), values(counts.Y), values(counts.weights), values(counts.bias)]
    const results = [one, two].map((wasm) => {
      const put = (data: Float64Array) => {
        const storage = wasm.allocate(data.length, 'float32').retain()
        storage.view().set(data)
        return storage
      }
      const make = (count: number) => put(new Float64Array(count).fill(Number.NaN))
      const [x, dy, w, b] = [put(X), put(dY), put(W), put(bias)]
      const [y, dx, dw, db] = [make(counts.Y), make(counts.X), make(counts.weights), make(counts.bias)]
      const at = (storage: typeof x) => wasm.pointer(storage)
      launchConvolve(wasm, g, { X: at(x), weights: at(w), bias: at(b), Y: at(y) })
      launchConvolveTransposed(wasm, g, { X: at(dy), weights: at(w), bias: 0, Y: at(dx) })
      launchFilterGradient(wasm, g, { X: at(x), dY: at(dy), dWeights: at(dw) })
      launchBiasGradient(wasm, { dY: at(dy), gradient: at(db) }, numberOf(g.output), counts.bias, g.observations)
      const read = [y, dx, dw, db].map((storage) => Float32Array.from(storage.view()))
      for (const storage of [x, dy, w, b, y, dx, dw, db]) storage.release()
      return read
    })
    const [Y, dX, dW] = [new Float64Array(counts.Y), new Float64Array(counts.X), new Float64Array(counts.weights)]
    referenceConvolve(g, X, W, bias, Y)
    referenceConvolveTransposed(g, dY, W, undefined, dX)
    referenceFilterGradient(g, X, dY, dW)
    const what = JSON.stringify(g)
    const [first, second] = results as [Float32Array[], Float32Array[]]
    expectClose(first[0]!, Y, SINGLE, `Y ${what}`)
    expectClose(first[1]!, dX, SINGLE, `dX ${what}`)
    expectClose(first[2]!, dW, SINGLE, `dW ${what}`)
    first.forEach((array, i) => {
      expect(Buffer.from(array.buffer).equals(Buffer.from(second[i]!.buffer)), `bits of ${i}, ${what}`).toBe(true)
    })
  }

  it('agree with the reference, and are the same bits for one and two threads', async () => {
    await two.ready()
    let checked = 0
    for (let attempt = 0; attempt < 120; attempt++) {
      const rank = pick([1, 2, 2, 3])
      const list = (make: () => number) => Array.from({ length: rank }, make)
      const extents = list(() => pick(rank === 1 ? [1, 5, 64, 300] : rank === 2 ? [1, 4, 7, 13, 20] : [1, 2, 3, 8]))
      const filter = list(() => pick([1, 2, 3, 5]))
      const image = { extents, channels: 0, observations: pick([0, 1, 2, 7]) }
      const weights = { filter, inner: pick([1, 2, 3, 5, 8]), outer: pick([1, 2, 4, 9]), groups: pick([1, 1, 2, 3]) }
      const windows = {
        stride: list(() => pick([1, 1, 2, 3])),
        dilationFactor: list(() => pick([1, 1, 2, 3])),
        padding: [list(() => pick([0, 1, 2])), list(() => pick([0, 1, 3]))],
      }
      const reach = filter.map((taps, d) => (taps - 1) * windows.dilationFactor[d]! + 1)
      if (extents.some((n, d) => n + windows.padding[0]![d]! + windows.padding[1]![d]! < reach[d]!)) continue
      checked++
      const g = convolutionGeometry(image, weights, windows, 'test')
      compare(g)
    }
    expect(checked).toBeGreaterThan(60)
    expect(two.info().threads).toBe(2)
  })

  // Sizes for which the gradient for filters reads patches in place: lines and planes of every length, several bands.
  it.each([
    { extents: [28, 28], filter: [5, 5], channels: 3, filters: 20, groups: 1, observations: 33 },
    { extents: [15, 9], filter: [4, 3], channels: 2, filters: 3, groups: 2, observations: 9, padding: [1, 2] },
    { extents: [24, 90], filter: [3, 7], channels: 7, filters: 5, groups: 1, observations: 8, stride: [1, 3] },
    { extents: [20, 17], filter: [3, 2], channels: 5, filters: 2, groups: 1, observations: 12, dilationFactor: [3, 2] },
    { extents: [128, 120], filter: [5, 5], channels: 9, filters: 3, groups: 1, observations: 8, padding: 2 },
    { extents: [50], filter: [7], channels: 4, filters: 6, groups: 3, observations: 5, padding: 3 },
    { extents: [8, 7, 6], filter: [2, 3, 2], channels: 2, filters: 4, groups: 1, observations: 8, padding: [0, 1, 1] },
  ])('with few channels and many observations: %j', async ({ extents, filter, channels, filters, groups, ...rest }) => {
    await two.ready()
    const { observations, stride = 1, dilationFactor = 1, padding = 0 } = rest
    const image = { extents, channels: channels * groups, observations }
    const weights = { filter, inner: channels, outer: filters, groups }
    const g = convolutionGeometry(image, weights, { stride, dilationFactor, padding }, 'test')
    expect(['tiles', 'lines', 'direct']).toContain(chooseFilterGradient(g).family)
    compare(g)
  })

  // Sizes with so few observations that bands of them are the parts of the gradient for filters.
  it.each([
    { extents: [60, 57], filter: [9, 9], channels: 3, filters: 9, observations: 2, padding: 4, family: 'lines' },
    { extents: [24, 61], filter: [5, 3], channels: 8, filters: 7, observations: 1, padding: 1, family: 'lines' },
    { extents: [64, 40], filter: [3, 3], channels: 7, filters: 3, groups: 2, padding: 1, family: 'direct' },
    { extents: [24, 9, 8], filter: [3, 3, 2], channels: 2, filters: 5, observations: 3, family: 'direct' },
  ])('with few observations: %j', async ({ extents, filter, channels, filters, family, ...rest }) => {
    await two.ready()
    const { groups = 1, observations = 1, padding = 0 } = rest
    const image = { extents, channels: channels * groups, observations }
    const weights = { filter, inner: channels, outer: filters, groups }
    const g = convolutionGeometry(image, weights, { stride: 1, dilationFactor: 1, padding }, 'test')
    expect(chooseFilterGradient(g).family).toBe(family)
    compare(g)
  })

  // Sizes for which few filters read patches in place: tiles that begin earlier at edges, that do not fit, lines of one phase or
  // more, several runs of channels and bands.
  it.each([
    { extents: [28, 20], filter: [3, 3], channels: 1, filters: 1, groups: 9, observations: 2, padding: 1 },
    { extents: [7, 7], filter: [3, 3], channels: 1, filters: 2, groups: 5, observations: 3, padding: 1 },
    { extents: [31, 2], filter: [5, 2], channels: 3, filters: 2, groups: 2, observations: 1, padding: [2, 0] },
    { extents: [100], filter: [7], channels: 1, filters: 1, groups: 6, observations: 2, padding: 3 },
    { extents: [57, 23], filter: [3, 3], channels: 1, filters: 1, groups: 4, observations: 2, stride: 2, padding: 1 },
    { extents: [90, 11], filter: [4, 3], channels: 2, filters: 2, groups: 2, stride: [3, 1], dilationFactor: [2, 1] },
    { extents: [40, 30], filter: [3, 3], channels: 40, filters: 1, observations: 2, padding: 1 },
    { extents: [400, 200], filter: [3, 3], channels: 60, filters: 2, padding: 1 },
    { extents: [33, 13], filter: [3, 3], channels: 30, filters: 3, groups: 2, padding: 2 },
    { extents: [12, 9, 8], filter: [3, 3, 3], channels: 1, filters: 1, groups: 4, stride: [2, 1, 2], padding: 1 },
    { extents: [25, 16], filter: [5, 5], channels: 1, filters: 1, groups: 9, observations: 2, padding: 2 },
    {
      extents: [66, 20],
      filter: [4, 2],
      channels: 2,
      filters: 3,
      groups: 3,
      observations: 4,
      stride: [3, 2],
      padding: 1,
    },
  ])('with few filters: %j', async ({ extents, filter, channels, filters, ...rest }) => {
    await two.ready()
    const { groups = 1, observations = 1, stride = 1, dilationFactor = 1, padding = 0 } = rest
    const image = { extents, channels: channels * groups, observations }
    const weights = { filter, inner: channels, outer: filters, groups }
    compare(convolutionGeometry(image, weights, { stride, dilationFactor, padding }, 'test'))
  })

  // Sizes for which lanes are planes: fewer planes than lanes, lines shorter than a vector, every border, several bands of lines,
  // steps that skip lines and positions, parts of the observations.
  it.each([
    { extents: [56, 70], groups: 6, padding: 1 },
    { extents: [7, 7], groups: 5, observations: 3, padding: 1 },
    { extents: [3, 5], groups: 3, observations: 2, padding: 0 },
    {
      extents: [1, 2],
      groups: 9,
      padding: [
        [1, 2],
        [3, 0],
      ],
    },
    { extents: [5, 4], groups: 4, padding: 4 },
    { extents: [57, 60], groups: 4, observations: 2, stride: 2, padding: 1 },
    { extents: [14, 9], groups: 7, observations: 9, stride: 2, padding: 0 },
    {
      extents: [8, 8],
      groups: 2,
      stride: [2, 1],
      padding: [
        [0, 1],
        [1, 1],
      ],
    },
    { extents: [40, 41], groups: 5, stride: [1, 2], padding: 2 },
    { extents: [23, 29], groups: 8, observations: 2, stride: [3, 5], padding: [1, 3] },
    { extents: [300, 90], groups: 2, stride: 2, padding: 1 },
  ])('with a filter for each plane: %j', async ({ extents, groups, observations = 1, stride = 1, padding }) => {
    await two.ready()
    const weights = { filter: [3, 3], inner: 1, outer: 1, groups }
    const image = { extents, channels: groups, observations }
    const g = convolutionGeometry(image, weights, { stride, dilationFactor: 1, padding }, 'test')
    expect([chooseProduct(convolutionProduct(g)).family, chooseFilterGradient(g).family]).toEqual([
      'depthwise',
      'depthwise',
    ])
    compare(g)
  })

  // Sizes for which filters of about 5 by 5 taps go through transforms of tiles, cut at every edge; every remainder of channels.
  it.each([
    { extents: [28, 28], filter: [5, 5], channels: 3, filters: 20, groups: 1, observations: 9 },
    { extents: [28, 28], filter: [5, 5], channels: 1, filters: 24, groups: 2, observations: 8 },
    { extents: [61, 50], filter: [5, 4], channels: 5, filters: 17, groups: 1, observations: 8, padding: [1, 3] },
    { extents: [22, 21], filter: [4, 5], channels: 7, filters: 20, groups: 3, observations: 8, padding: [3, 1] },
    { extents: [16, 48], filter: [5, 5], channels: 2, filters: 32, groups: 1, observations: 40, padding: 2 },
  ])('with about 5 by 5 taps: %j', async ({ extents, filter, channels, filters, groups, observations, ...rest }) => {
    await two.ready()
    const image = { extents, channels: channels * groups, observations }
    const weights = { filter, inner: channels, outer: filters, groups }
    const g = convolutionGeometry(image, weights, { stride: 1, dilationFactor: 1, padding: 0, ...rest }, 'test')
    expect([chooseProduct(convolutionProduct(g)).family, chooseFilterGradient(g).family]).toEqual(['tiles', 'tiles'])
    compare(g)
  })

  // Sizes for which filters with many taps along h go through transforms of lines: tiles cut at every edge, several bands and
  // runs of channels, every number of taps that is cut into parts differently.
  it.each([
    { extents: [27, 11], filter: [5, 3], channels: 2, filters: 7, groups: 2, observations: 8, padding: [2, 1] },
    {
      extents: [40, 9],
      filter: [4, 3],
      channels: 6,
      filters: 11,
      groups: 1,
      observations: 8,
      stride: [1, 2],
      padding: 3,
    },
    { extents: [90, 20], filter: [6, 3], channels: 9, filters: 24, groups: 1, observations: 8, dilationFactor: [1, 3] },
    {
      extents: [70, 20],
      filter: [7, 7],
      channels: 6,
      filters: 9,
      groups: 1,
      observations: 8,
      stride: [1, 3],
      padding: 3,
    },
    { extents: [64, 40], filter: [9, 9], channels: 32, filters: 3, groups: 1, observations: 1, padding: 4 },
    { extents: [300], filter: [8], channels: 40, filters: 30, groups: 1, observations: 8, padding: [7, 0] },
    { extents: [90, 3], filter: [13, 2], channels: 100, filters: 8, groups: 1, observations: 8, padding: 6 },
    { extents: [20, 6, 5], filter: [5, 2, 3], channels: 2, filters: 6, groups: 2, observations: 8, stride: [1, 1, 2] },
  ])('with many taps along a line: %j', async ({ extents, filter, channels, filters, groups, ...rest }) => {
    await two.ready()
    const { observations, stride = 1, dilationFactor = 1, padding = 0 } = rest
    const image = { extents, channels: channels * groups, observations }
    const weights = { filter, inner: channels, outer: filters, groups }
    const g = convolutionGeometry(image, weights, { stride, dilationFactor, padding }, 'test')
    expect(chooseProduct(convolutionProduct(g)).family).toBe('lines')
    if (observations >= 8) expect(chooseFilterGradient(g).family).toBe('lines')
    compare(g)
  })

  // Sizes for which 3 by 3 filters go through their transforms, tiles cut at every edge.
  it.each([
    { extents: [16, 8], channels: 16, filters: 16, groups: 1, observations: 1, padding: 1 },
    { extents: [30, 13], channels: 17, filters: 18, groups: 1, observations: 2, padding: 1 },
    { extents: [18, 7], channels: 8, filters: 33, groups: 2, observations: 3, padding: 0 },
    { extents: [14, 14], channels: 40, filters: 21, groups: 1, observations: 5, padding: 2 },
    { extents: [29, 40], channels: 300, filters: 8, groups: 1, observations: 1, padding: 1 },
    { extents: [16, 8, 5], taps: 3, channels: 8, filters: 16, groups: 1, observations: 2, padding: 1 },
    { extents: [29, 11, 4], taps: 2, channels: 5, filters: 33, groups: 2, observations: 3, padding: [1, 0, 2] },
    {
      extents: [30, 9, 9],
      taps: 5,
      channels: 13,
      filters: 9,
      stride: [1, 1, 2],
      dilationFactor: [1, 1, 2],
      padding: 2,
    },
  ])('with 3 by 3 filters: %j', async ({ extents, channels, filters, padding, ...rest }) => {
    await two.ready()
    const { groups = 1, observations = 1, stride = 1, dilationFactor = 1, taps } = rest
    const weights = { filter: taps ? [3, 3, taps] : [3, 3], inner: channels, outer: filters, groups }
    const image = { extents, channels: channels * groups, observations }
    const g = convolutionGeometry(image, weights, { stride, dilationFactor, padding }, 'test')
    expect([chooseProduct(convolutionProduct(g)).family, chooseFilterGradient(g).family]).toEqual([
      'winograd',
      'winograd',
    ])
    compare(g)
  })

  // Sizes for which runs of taps and phases of steps go through their transforms, tiles cut at every edge.
  it.each([
    { extents: [24, 25], filter: [9, 9], channels: 8, filters: 8, observations: 2, padding: 4 },
    { extents: [70, 11], filter: [7, 8], channels: 5, filters: 13, groups: 2, padding: 3 },
    { extents: [22, 14], filter: [4, 6], channels: 9, filters: 9, observations: 3, padding: [2, 3] },
    { extents: [46, 9], filter: [6, 6], channels: 64, filters: 10, padding: 3 },
    { extents: [64, 31], filter: [3, 3], channels: 16, filters: 17, stride: 2, padding: 1 },
    { extents: [64, 16], filter: [3, 4], channels: 70, filters: 16, stride: 2, padding: [1, 0] },
    { extents: [62, 17], filter: [4, 4], channels: 4, filters: 25, observations: 2, stride: 2, padding: 1 },
    { extents: [61, 15], filter: [4, 4], channels: 16, filters: 16, groups: 2, stride: 2, padding: 0 },
    { extents: [96, 14], filter: [6, 5], channels: 16, filters: 18, observations: 2, stride: 2, padding: 2 },
    { extents: [63, 12], filter: [4, 2], channels: 9, filters: 16, observations: 3, stride: [2, 1], padding: [1, 1] },
    { extents: [300, 7], filter: [2, 2], channels: 17, filters: 18, observations: 5, padding: 1 },
  ])('with longer filters and steps of two: %j', async ({ extents, filter, channels, filters, ...rest }) => {
    await two.ready()
    const { observations = 1, groups = 1, stride = 1, padding = 0 } = rest
    const weights = { filter, inner: channels, outer: filters, groups }
    const image = { extents, channels: channels * groups, observations }
    const g = convolutionGeometry(image, weights, { stride, dilationFactor: 1, padding }, 'test')
    expect([choosePhases(g, convolutionProduct(g)), chooseTransposedPhases(g)]).not.toContain(undefined)
    compare(g)
  })
})
