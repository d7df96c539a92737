import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { setThreads, wasmBackend } from '../../../src/backends/current.js'
import type { WasmBackend } from '../../../src/backends/wasm/backend.js'
import { expectClose } from '../../support/close.js'
import { normals } from '../../support/random.js'

// The normalization family against float64, over group sizes, layouts, and both ways of dividing the work.

interface Layout {
  inner: number
  channels: number
  observations: number
  outer: number
  groupChannels: number
  mean: number
  deviation: number
}

/** A result of float32 arithmetic with a handful of roundings. */
const TOLERANCE = 5e-7
/** Sums over many elements with cancelling signs. */
const SUMS = 2e-6
const epsilon = 1e-5
/** Elements in a part, and bytes of statistics: as in kernels/normalization/normalization.ts. */
const PART = 16384

const layouts: Layout[] = [
  { inner: 784, channels: 3, observations: 2, outer: 1, groupChannels: 1, mean: 0, deviation: 1 },
  { inner: 25, channels: 6, observations: 2, outer: 3, groupChannels: 3, mean: -5, deviation: 2 },
  { inner: 7, channels: 4, observations: 3, outer: 1, groupChannels: 4, mean: 1e4, deviation: 1e-2 },
  { inner: 50000, channels: 2, observations: 1, outer: 1, groupChannels: 1, mean: 1e4, deviation: 1e-2 },
  { inner: 9000, channels: 4, observations: 1, outer: 3, groupChannels: 2, mean: 1e4, deviation: 1e-2 },
  { inner: 1, channels: 5, observations: 3, outer: 7, groupChannels: 1, mean: 2, deviation: 1 },
  { inner: 1, channels: 37, observations: 2, outer: 77, groupChannels: 1, mean: 1e4, deviation: 1e-2 },
  { inner: 1, channels: 5, observations: 1, outer: 20001, groupChannels: 1, mean: -2, deviation: 1 },
  { inner: 1, channels: 18, observations: 1, outer: 33000, groupChannels: 1, mean: 1, deviation: 1e-3 },
  { inner: 7, channels: 19, observations: 3, outer: 50, groupChannels: 1, mean: 1e4, deviation: 1e-2 },
  { inner: 128, channels: 5, observations: 2, outer: 3, groupChannels: 1, mean: -3, deviation: 1 },
  { inner: 3, channels: 9, observations: 9, outer: 3001, groupChannels: 1, mean: 1e4, deviation: 1e-2 },
  { inner: 16, channels: 19, observations: 31, outer: 1, groupChannels: 1, mean: 1e4, deviation: 1e-2 },
  { inner: 3, channels: 5, observations: 211, outer: 1, groupChannels: 1, mean: -2, deviation: 1 },
  { inner: 576, channels: 5, observations: 3, outer: 1, groupChannels: 1, mean: 1e4, deviation: 1e-2 },
  { inner: 4100, channels: 3, observations: 3, outer: 1, groupChannels: 1, mean: 1, deviation: 3 },
  { inner: 1, channels: 6, observations: 2, outer: 1, groupChannels: 6, mean: 3, deviation: 1 },
]

function reference(one: Layout, x: Float32Array, dy: Float32Array, scale: Float32Array, offset: Float32Array) {
  const { inner, channels, observations, outer, groupChannels } = one
  const y = new Float64Array(x.length)
  const dx = new Float64Array(x.length)
  const dscale = new Float64Array(channels)
  const doffset = new Float64Array(channels)
  const count = inner * groupChannels * outer
  for (let n = 0; n < observations; n++)
    for (let first = 0; first < channels; first += groupChannels) {
      const visit = (each: (element: number, channel: number) => void) => {
        for (let o = 0; o < outer; o++)
          for (let c = first; c < first + groupChannels; c++)
            for (let i = 0; i < inner; i++) each(i + inner * (c + channels * (n + observations * o)), c)
      }
      let mean = 0
      visit((k) => {
        mean += x[k]! / count
      })
      let variance = 0
      visit((k) => {
        variance += (x[k]! - mean) ** 2 / count
      })
      const inverse = 1 / Math.sqrt(variance + epsilon)
      let meanGradient = 0
      let meanProjection = 0
      visit((k, c) => {
        const xhat = (x[k]! - mean) * inverse
        y[k] = scale[c]! * xhat + offset[c]!
        dscale[c]! += dy[k]! * xhat
        doffset[c]! += dy[k]!
        meanGradient += (dy[k]! * scale[c]!) / count
        meanProjection += (dy[k]! * scale[c]! * xhat) / count
      })
      visit((k, c) => {
        dx[k] = inverse * (dy[k]! * scale[c]! - meanGradient - (x[k]! - mean) * inverse * meanProjection)
      })
    }
  return { y, dx, dscale, doffset }
}

let wasm: WasmBackend

beforeAll(async () => {
  setThreads(2)
  wasm = wasmBackend()
  await wasm.ready()
})
afterAll(() => setThreads(1))

function run(
  one: Layout,
  inputs: Record<'x' | 'dy' | 'scale' | 'offset', Float32Array>,
  inSteps: boolean,
  grain: number,
) {
  const { inner, channels, observations, outer, groupChannels } = one
  const planes = channels * observations
  const groups = planes / groupChannels
  const groupParts = Math.ceil((inner * outer * groupChannels) / PART)
  const planeParts = Math.ceil((inner * outer) / PART)
  const place = (length: number, values?: Float32Array) => {
    const storage = wasm.allocate(length, 'float32').retain()
    if (values) storage.view().set(values)
    return storage
  }
  const storages = {
    x: place(inputs.x.length, inputs.x),
    dy: place(inputs.dy.length, inputs.dy),
    scale: place(channels, inputs.scale),
    offset: place(channels, inputs.offset),
    y: place(inputs.x.length),
    dx: place(inputs.x.length),
    statistics: place(3 * groups),
    planeSums: place(2 * planes),
    partials: place(4 * Math.max(groups * groupParts, planes * planeParts)),
    coefficients: place(4 * planes),
    dscale: place(channels),
    doffset: place(channels),
  }
  const at = Object.fromEntries(
    Object.entries(storages).map(([name, storage]) => [name, wasm.pointer(storage)]),
  ) as Record<keyof typeof storages, number>
  const { dscale, doffset, ...addresses } = at
  const block = { ...addresses, inner, channels, observations, outer, groupChannels, epsilon }
  if (inSteps) {
    wasm.launch('normalizeMeasure', block, { items: groups * groupParts, grain })
    wasm.launch('normalizeJoin', block, { items: groups, grain })
    wasm.launch('normalizeApply', block, { items: planes * planeParts, grain })
    wasm.launch('normalizeGradientSums', block, { items: planes * planeParts, grain })
    wasm.launch('normalizeGradientJoin', block, { items: groups, grain })
    wasm.launch('normalizeGradientApply', block, { items: planes * planeParts, grain })
  } else {
    wasm.launch('normalize', block, { items: groups, grain })
    wasm.launch('normalizeGradient', block, { items: groups, grain })
  }
  wasm.launch(
    'normalizeParameterGradient',
    { planeSums: at.planeSums, dscale, doffset, channels, observations },
    { items: channels, grain },
  )
  const results = {
    y: storages.y.view().slice(),
    dx: storages.dx.view().slice(),
    dscale: storages.dscale.view().slice(),
    doffset: storages.doffset.view().slice(),
  }
  for (const storage of Object.values(storages)) storage.release()
  return results
}

describe.each(layouts.map((one) => [JSON.stringify(one), one] as const))('normalization of %s', (_, one) => {
  const { inner, channels, observations, outer, groupChannels, mean, deviation } = one
  const draw = normals(11)
  const make = (length: number, middle: number, spread: number) =>
    Float32Array.from({ length }, () => middle + spread * draw())
  const count = inner * channels * observations * outer
  const inputs = {
    x: make(count, mean, deviation),
    dy: make(count, 0, 1),
    scale: make(channels, 1, 0.3),
    offset: make(channels, 0, 1),
  }

  it('agrees with float64', () => {
    const expected = reference(one, inputs.x, inputs.dy, inputs.scale, inputs.offset)
    const actual = run(one, inputs, false, 3)
    expectClose(actual.y, expected.y, TOLERANCE, 'y')
    expectClose(actual.dx, expected.dx, TOLERANCE, 'dx')
    expectClose(actual.dscale, expected.dscale, SUMS, 'dscale')
    expectClose(actual.doffset, expected.doffset, SUMS, 'doffset')
  })

  it('gives the same bits in groups, in parts, and for every division', () => {
    const expected = run(one, inputs, false, 1 << 20)
    // short runs are summed in another order when whole groups go together; sizes decide which way it is
    for (const [inSteps, grain] of [
      [false, 1],
      [false, 5],
      [true, 1],
      [true, 7],
    ] as const)
      if (!inSteps || inner > 128 || groupChannels > 1) expect(run(one, inputs, inSteps, grain)).toEqual(expected)
  })
})

describe('normalization', () => {
  it('measures the deviation where the first elements lie far from the others', () => {
    const draw = normals(4)
    const x = Float32Array.from({ length: 1000 }, () => 1e4 + 1e-2 * draw())
    x[0] = 0
    x[500] = -1e3
    x[999] = 0
    const one = { inner: 1000, channels: 1, observations: 1, outer: 1, groupChannels: 1, mean: 0, deviation: 1 }
    const inputs = { x, dy: x, scale: Float32Array.of(1), offset: Float32Array.of(0) }
    const expected = reference(one, x, x, inputs.scale, inputs.offset)
    expectClose(run(one, inputs, false, 1).y, expected.y, TOLERANCE, 'y')
  })

  it('gives the offset for planes of one element and for constant ones', () => {
    for (const inner of [1, 6]) {
      const one = { inner, channels: 3, observations: 2, outer: 1, groupChannels: 1, mean: 0, deviation: 1 }
      const x = new Float32Array(inner * 6).fill(7.25)
      const inputs = { x, dy: x, scale: Float32Array.of(1, 2, 3), offset: Float32Array.of(-1, 0.5, 4) }
      const { y } = run(one, inputs, false, 2)
      y.forEach((value, i) => {
        expect(value).toBe(inputs.offset[Math.floor(i / inner) % 3])
      })
    }
  })
})
