import type { ArrayInfo, DlArray } from '../../array/dlarray.js'
import { describe, numel } from '../../array/format.js'
import { DimensionError } from '../../errors.js'
import { type Triple, triple } from '../convolution/convolution-geometry.js'
import { operation, type Sample } from '../operation.js'

/** What stands outside of an image: a number, the nearest edge, or the image mirrored with or without its edge repeated. */
export type PaddingValue = number | 'replicate' | 'symmetric-include-edge' | 'symmetric-exclude-edge'

const modes = ['value', 'replicate', 'symmetric-include-edge', 'symmetric-exclude-edge'] as const

interface PadPlan {
  readonly image: Triple
  readonly padded: Triple
  readonly before: Triple
  readonly mode: number
  readonly value: number
  readonly planes: number
}

interface PadOptions {
  /** Elements added before and after, one entry for each of the first dimensions of the array. */
  readonly before: readonly number[]
  readonly after: readonly number[]
  readonly value: PaddingValue
}

const noPadding: PadOptions = { before: [], after: [], value: 0 }

function padPlan(size: readonly number[], { before, after, value }: PadOptions): PadPlan {
  const rank = before.length
  const image = size.slice(0, rank)
  const padded = image.map((extent, d) => extent + before[d]! + after[d]!)
  return {
    image: triple(image, 1),
    padded: triple(padded, 1),
    before: triple(before, 0),
    mode: typeof value === 'number' ? 0 : modes.indexOf(value),
    value: typeof value === 'number' ? value : 0,
    planes: numel(size.slice(rank)),
  }
}

/** Y is X with elements added at the edges of its first dimensions. */
export const padOperation = operation({
  name: 'pad',
  inputs: ['X'],
  outputs: ['Y'],
  options: noPadding,
  rule({ X }, options) {
    if (typeof options.value !== 'number' && options.before.some((_, d) => X.size[d] === 0))
      throw new DimensionError({
        call: 'pad',
        expects: 'an image with elements to repeat at its edges',
        got: describe(X),
        remedy: 'Pad empty images with a number.',
      })
    const padded = X.size.map((extent, d) => extent + (options.before[d] ?? 0) + (options.after[d] ?? 0))
    return { outputs: [{ size: padded, dims: X.dims, type: X.type }], plan: padPlan(X.size, options) }
  },
  saves: [],
  gradient: {
    X: ({ gradient, options, inputs }) =>
      padAdjointOperation.run({ dY: gradient }, { ...options, size: inputs.X.size }),
  },
  kernels: {
    reference({ inputs: { X }, outputs: { Y }, plan }) {
      eachPosition(plan, (to, from) => {
        Y[to] = from < 0 ? plan.value : X[from]!
      })
    },
    wasm({ inputs: { X }, outputs: { Y }, plan, wasm }) {
      wasm.launch('pad', block(plan, X, Y), { items: plan.planes })
    },
  },
  samples: (): Sample<'X', PadOptions>[] => [
    { inputs: { X: { size: [4, 3, 2], format: 'SSC' } }, options: { before: [1, 2], after: [3, 0], value: 2 } },
    {
      inputs: { X: { size: [4, 3, 2], format: 'SSC' } },
      options: { before: [2, 1], after: [6, 1], value: 'replicate' },
    },
    {
      inputs: { X: { size: [5, 2, 2], format: 'SSC' } },
      options: { before: [2, 7], after: [4, 1], value: 'symmetric-include-edge' },
    },
    {
      inputs: { X: { size: [5, 3, 2, 2, 1], format: 'SSSCB' } },
      options: { before: [2, 7, 0], after: [4, 1, 2], value: 'symmetric-exclude-edge' },
    },
    { inputs: { X: { size: [7, 2], format: 'SC' } }, options: { before: [3], after: [1], value: 'replicate' } },
  ],
})

/** The adjoint of {@link padOperation} with the value 0: each element of dX sums what was copied from it. */
export const padAdjointOperation = operation({
  name: 'padAdjoint',
  inputs: ['dY'],
  outputs: ['dX'],
  options: { ...noPadding, size: [] as readonly number[] },
  rule({ dY }, options) {
    const dX: ArrayInfo = { size: options.size, dims: dY.dims, type: dY.type }
    return { outputs: [dX], plan: padPlan(options.size, options) }
  },
  saves: [],
  gradient: {
    dY: ({ gradient, options: { before, after, value } }): DlArray =>
      padOperation.run({ X: gradient }, { before, after, value: typeof value === 'number' ? 0 : value }),
  },
  kernels: {
    reference({ inputs: { dY }, outputs: { dX }, plan }) {
      const totals = new Float64Array(dX.length)
      eachPosition(plan, (from, to) => {
        if (to >= 0) totals[to]! += dY[from]!
      })
      dX.set(totals)
    },
    wasm({ inputs: { dY }, outputs: { dX }, plan, wasm }) {
      wasm.launch('padGradient', block(plan, dX, dY), { items: plan.planes })
    },
  },
  samples: (): Sample<'dY', PadOptions & { readonly size: readonly number[] }>[] => [
    {
      inputs: { dY: { size: [8, 5, 2], format: 'SSC' } },
      options: { size: [4, 3, 2], before: [1, 2], after: [3, 0], value: 0 },
    },
    {
      inputs: { dY: { size: [11, 10, 2], format: 'SSC' } },
      options: { size: [5, 2, 2], before: [2, 7], after: [4, 1], value: 'symmetric-include-edge' },
    },
  ],
})

function block({ image, padded, before, mode, value }: PadPlan, x: number, y: number) {
  return {
    x,
    y,
    heightX: image[0],
    widthX: image[1],
    depthX: image[2],
    heightY: padded[0],
    widthY: padded[1],
    depthY: padded[2],
    beforeH: before[0],
    beforeW: before[1],
    beforeD: before[2],
    mode,
    value,
  }
}

/** Calls `visit(padded element, image element or -1)` for every element of the padded array. */
function eachPosition(plan: PadPlan, visit: (padded: number, image: number) => void): void {
  const { image, padded, before, planes } = plan
  const sources = ([0, 1, 2] as const).map((d) =>
    Array.from({ length: padded[d] }, (_, i) => source(i - before[d], image[d], plan.mode)),
  )
  let to = 0
  for (let p = 0; p < planes; p++)
    for (const d of sources[2]!)
      for (const w of sources[1]!)
        for (const h of sources[0]!)
          visit(to++, d < 0 || w < 0 || h < 0 ? -1 : h + image[0] * (w + image[1] * (d + image[2] * p)))
}

function source(i: number, extent: number, mode: number): number {
  if (i >= 0 && i < extent) return i
  if (extent === 0 || modes[mode] === 'value') return -1
  if (modes[mode] === 'replicate') return i < 0 ? 0 : extent - 1
  if (extent === 1) return 0
  // Walk back and forth, one reflection at a time.
  const edge = modes[mode] === 'symmetric-include-edge' ? 1 : 0
  let j = i
  while (j < 0 || j >= extent) j = j < 0 ? -j - edge : 2 * (extent - 1) - j + edge
  return j
}
