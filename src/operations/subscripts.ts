import { type DlArray, isdlarray } from '../array/dlarray.js'
import { describe, numel, strides } from '../array/format.js'
import { DimensionError } from '../errors.js'
import { copyRegion, launchCopy, merged } from './movement.js'
import { operation } from './operation.js'
import { reshape } from './relabel.js'

/** Along one dimension: all (`':'`), one index, `'end'`, a list of indices, a range made by `colon`, or a logical list. */
export type Subscript = ':' | 'end' | number | readonly number[] | readonly boolean[] | Colon

/** A range of indices: `from`, `from + step`, ... up to `to`. */
export interface Colon {
  readonly from: number
  readonly to: number | 'end'
  readonly step: number
}

/** Indices from, from + step, ... up to `to` (`'end'`: the last one), counted from 1. Source: MATLAB, `colon`. */
export function colon(from: number, to: number | 'end', step = 1): Colon {
  return { from, to, step }
}

/** Y(i) = X(start + i * step): a regular block of an array; zero-based, one entry per dimension. */
export const blockOperation = operation({
  name: 'index',
  inputs: ['X'],
  outputs: ['Y'],
  options: { start: [] as readonly number[], step: [] as readonly number[], count: [] as readonly number[] },
  rule({ X }, { start, step, count }) {
    const own = strides(X.size)
    return {
      outputs: [{ size: count, dims: X.dims, type: X.type }],
      plan: {
        offset: start.reduce((offset, from, d) => offset + (count.includes(0) ? 0 : from * own[d]!), 0),
        region: merged({ size: count, xSteps: step.map((by, d) => by * own[d]!), ySteps: strides(count) }),
      },
    }
  },
  saves: [],
  gradient: {
    X: ({ gradient, options, inputs }): DlArray =>
      placeOperation.run({ dY: gradient }, { start: options.start, step: options.step, size: inputs.X.size }),
  },
  kernels: {
    reference({ inputs, outputs, plan }) {
      copyRegion(inputs.X, plan.offset, outputs.Y, 0, plan.region)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      launchCopy(wasm, inputs.X + 4 * plan.offset, outputs.Y, plan.region)
    },
  },
  samples: () => [
    { inputs: { X: { size: [5, 7] } }, options: { start: [1, 0], step: [1, 2], count: [3, 4] } },
    {
      inputs: { X: { size: [6, 3, 4], format: 'SCB' } },
      options: { start: [5, 0, 1], step: [-2, 1, 1], count: [3, 3, 2] },
    },
    { inputs: { X: { size: [4, 3] } }, options: { start: [0, 0], step: [1, 1], count: [0, 3] } },
  ],
})

/** Zeros of `size` with dY at start + i * step: the adjoint of a block. */
export const placeOperation = operation({
  name: 'place',
  inputs: ['dY'],
  outputs: ['dX'],
  options: { start: [] as readonly number[], step: [] as readonly number[], size: [] as readonly number[] },
  rule({ dY }, { start, step, size }) {
    const own = strides(size)
    return {
      outputs: [{ size, dims: dY.dims, type: dY.type }],
      plan: {
        total: numel(size),
        offset: start.reduce((offset, from, d) => offset + (dY.size.includes(0) ? 0 : from * own[d]!), 0),
        region: merged({ size: dY.size, xSteps: strides(dY.size), ySteps: step.map((by, d) => by * own[d]!) }),
      },
    }
  },
  saves: [],
  gradient: {
    dY: ({ gradient, options, inputs }): DlArray =>
      blockOperation.run({ X: gradient }, { start: options.start, step: options.step, count: inputs.dY.size }),
  },
  kernels: {
    reference({ inputs, outputs, plan }) {
      outputs.dX.fill(0)
      copyRegion(inputs.dY, 0, outputs.dX, plan.offset, plan.region)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      wasm.launch('fill', { y: outputs.dX, value: 0 }, { items: plan.total, grain: 65536 })
      launchCopy(wasm, inputs.dY, outputs.dX + 4 * plan.offset, plan.region)
    },
  },
  samples: () => [
    { inputs: { dY: { size: [3, 4] } }, options: { start: [1, 0], step: [1, 2], size: [5, 7] } },
    {
      inputs: { dY: { size: [3, 3, 2], format: 'SCB' } },
      options: { start: [5, 0, 1], step: [-2, 1, 1], size: [6, 3, 4] },
    },
  ],
})

/**
 * Elements of an array, as `X(i, j, ...)` in MATLAB: subscripts count from 1, one per dimension, and the format is kept.
 * Fewer subscripts than dimensions number the remaining dimensions as one, and `index(X, ':')` is the column of all elements;
 * the result is then unformatted.
 *
 * Errors: a {@link DimensionError} for subscripts outside the array. Source: MATLAB, array indexing.
 */
export function index<F extends string>(X: DlArray<F>, ...subscripts: readonly Subscript[]): DlArray<F> {
  if (!isdlarray(X) || subscripts.length === 0)
    throw new DimensionError({
      call: 'index',
      expects: 'a dlarray and a subscript for each of its dimensions',
      got: isdlarray(X) ? 'no subscripts' : typeof X,
      remedy: "Write index(X, ':', 1, [2, 3]).",
    })
  if (subscripts.length < X.ndims) {
    const kept = subscripts.length - 1
    const flat = reshape(X, [...X.size.slice(0, kept), numel(X.size.slice(kept))])
    return index(
      flat,
      ...subscripts,
      ...Array<Subscript>(flat.ndims - subscripts.length).fill(':'),
    ) as DlArray as DlArray<F>
  }
  const extra = subscripts.slice(X.ndims)
  for (const [i, subscript] of extra.entries()) indicesOf(subscript, 1, X.ndims + i, X)
  const chosen = subscripts.slice(0, X.ndims).map((subscript, d) => indicesOf(subscript, X.size[d]!, d, X))
  // Regular blocks are one strided copy; an irregular list is a block per run of it.
  const irregular = chosen.findIndex((indices) => !isRegular(indices))
  if (irregular < 0) return block(X, chosen) as DlArray<F>
  const runs = regularRuns(chosen[irregular]!)
  const pieces = runs.map((run) =>
    index(X, ...chosen.map((indices, d) => (d === irregular ? run : indices).map((i) => i + 1))),
  )
  return concatenate(pieces, irregular) as DlArray<F>
}

function block(X: DlArray, chosen: readonly (readonly number[])[]): DlArray {
  return blockOperation.run(
    { X },
    {
      start: chosen.map((indices) => indices[0] ?? 0),
      step: chosen.map((indices) => (indices.length > 1 ? indices[1]! - indices[0]! : 1)),
      count: chosen.map((indices) => indices.length),
    },
  )
}

/** Zero-based indices along dimension `d`. */
function indicesOf(subscript: Subscript, extent: number, d: number, X: DlArray): number[] {
  const fail = (got: string): never => {
    throw new DimensionError({
      call: 'index',
      expects: `subscripts from 1 to ${extent} in dimension ${d + 1}${X.dims[d] ? ` (${X.dims[d]})` : ''}`,
      got: `${got} for ${describe(X)}`,
      remedy: "Subscripts count from 1; use ':' for all and 'end' for the last.",
    })
  }
  const one = (value: number) =>
    Number.isInteger(value) && value >= 1 && value <= extent ? value - 1 : fail(String(value))
  if (subscript === ':') return Array.from({ length: extent }, (_, i) => i)
  if (subscript === 'end') return [one(extent)]
  if (typeof subscript === 'number') return [one(subscript)]
  if (Array.isArray(subscript)) {
    if (subscript.length > 0 && typeof subscript[0] === 'boolean') {
      if (subscript.length > extent && (subscript as boolean[]).lastIndexOf(true) >= extent)
        fail(`a logical list of ${subscript.length}`)
      return (subscript as boolean[]).flatMap((is, i) => (is ? [i] : []))
    }
    return (subscript as number[]).map(one)
  }
  if (typeof subscript === 'object' && 'from' in subscript) {
    const { from, step } = subscript
    const to = subscript.to === 'end' ? extent : subscript.to
    if (![from, to, step].every(Number.isInteger) || step === 0) fail(`${from}:${step}:${to}`)
    const indices: number[] = []
    for (let i = from; step > 0 ? i <= to : i >= to; i += step) indices.push(one(i))
    return indices
  }
  return fail(JSON.stringify(subscript))
}

function isRegular(indices: readonly number[]): boolean {
  const step = indices[1]! - indices[0]!
  return indices.length < 2 || (step !== 0 && indices.every((index, i) => i === 0 || index - indices[i - 1]! === step))
}

function regularRuns(indices: readonly number[]): number[][] {
  const runs: number[][] = []
  for (const index of indices) {
    const run = runs.at(-1)
    const step = run && run.length > 1 ? run[1]! - run[0]! : undefined
    const by = run ? index - run.at(-1)! : 0
    if (run && by !== 0 && (step === undefined || by === step)) run.push(index)
    else runs.push([index])
  }
  return runs
}

// --- Concatenation ---------------------------------------------------------------------------------------------------

/** One operation for each number of arrays. */
const concatenations = new Map<number, ReturnType<typeof concatenationOperation>>()

function concatenationOperation(count: number) {
  const inputs = Array.from({ length: count }, (_, i) => `X${i + 1}`)
  return operation<
    string,
    'Y',
    { dimension: number },
    readonly { offset: number; region: ReturnType<typeof merged> }[],
    never
  >({
    name: 'cat',
    inputs,
    outputs: ['Y'],
    options: { dimension: 0 },
    rule(named, { dimension }) {
      const infos = inputs.map((input) => named[input]!)
      const first = infos[0]!
      const total = infos.reduce((sum, info) => sum + (info.size[dimension] ?? 1), 0)
      const count = Math.max(dimension + 1, first.size.length)
      const size = Array.from({ length: count }, (_, d) => (d === dimension ? total : (first.size[d] ?? 1)))
      const own = strides(size)
      let offset = 0
      const plan = infos.map((info) => {
        const extents = size.map((_, d) => info.size[d] ?? 1)
        const piece = { offset, region: merged({ size: extents, xSteps: strides(extents), ySteps: own }) }
        offset += own[dimension]! * extents[dimension]!
        return piece
      })
      const type = infos.some((info) => info.type === 'single')
        ? 'single'
        : infos.some((info) => info.type === 'double')
          ? 'double'
          : 'logical'
      const dims = infos.find((info) => info.dims !== '')?.dims ?? ''
      return { outputs: [{ size, dims: dims && dims.padEnd(count, 'U'), type }], plan }
    },
    saves: [],
    gradient: Object.fromEntries(
      inputs.map((input, i) => [
        input,
        ({ gradient, options: { dimension }, inputs: infos }) => {
          const before = inputs.slice(0, i).reduce((sum, other) => sum + (infos[other]!.size[dimension] ?? 1), 0)
          const own = infos[input]!.size
          const count = gradient.size.map((_, d) => own[d] ?? 1)
          return blockOperation.run(
            { X: gradient },
            { start: count.map((_, d) => (d === dimension ? before : 0)), step: count.map(() => 1), count },
          )
        },
      ]),
    ),
    kernels: {
      reference(call) {
        call.plan.forEach(({ offset, region }, i) => {
          copyRegion(call.inputs[inputs[i]!]!, 0, call.outputs.Y, offset, region)
        })
      },
      wasm(call) {
        call.plan.forEach(({ offset, region }, i) => {
          launchCopy(call.wasm, call.inputs[inputs[i]!]!, call.outputs.Y + 4 * offset, region)
        })
      },
    },
    samples: () => [],
  })
}

function concatenate(arrays: readonly DlArray[], dimension: number): DlArray {
  let made = concatenations.get(arrays.length)
  if (!made) {
    made = concatenationOperation(arrays.length)
    concatenations.set(arrays.length, made)
  }
  return made.run(Object.fromEntries(arrays.map((array, i) => [`X${i + 1}`, array])), { dimension })
}

/**
 * Joins arrays along a dimension: a number counted from 1, or a label. Formatted arrays must have equal formats; with
 * unformatted ones among them the result has the format of the others.
 *
 * Errors: a {@link DimensionError} when formats differ or other extents are not equal. Source: MATLAB, `cat`.
 */
export function cat<F extends string>(dimension: number | string, ...arrays: readonly DlArray<F>[]): DlArray<F> {
  const formats = [...new Set(arrays.map((array) => array.dims).filter((format) => format !== ''))]
  const first = arrays[0]
  if (!first || formats.length > 1)
    throw new DimensionError({
      call: 'cat',
      expects: 'arrays of one format',
      got: first ? formats.map((format) => `'${format}'`).join(' and ') : 'no arrays',
      remedy: 'Give all arrays the same labels, or strip them with stripdims.',
    })
  const position =
    typeof dimension === 'string'
      ? (formats[0] ?? '').indexOf(dimension)
      : Number.isInteger(dimension)
        ? dimension - 1
        : -1
  if (position < 0)
    throw new DimensionError({
      call: 'cat',
      expects: 'a dimension counted from 1, or a label of the arrays',
      got: `${JSON.stringify(dimension)} for ${describe(first)}`,
      remedy: 'Name the dimension along which to join.',
    })
  for (const array of arrays)
    for (let d = 0; d < Math.max(array.ndims, first.ndims); d++)
      if (d !== position && (array.size[d] ?? 1) !== (first.size[d] ?? 1))
        throw new DimensionError({
          call: 'cat',
          expects: `equal extents in every dimension but ${position + 1}`,
          got: `${describe(first)} and ${describe(array)}`,
          remedy: `Dimension ${d + 1} differs: ${first.size[d] ?? 1} and ${array.size[d] ?? 1}.`,
        })
  return concatenate(arrays, position) as DlArray<F>
}
