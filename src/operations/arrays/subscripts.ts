import { checkArray, type DlArray, isdlarray } from '../../array/dlarray.js'
import { describe, MOST_DIMENSIONS, normalized, numel, strides } from '../../array/format.js'
import { argumentError, asText, DimensionError, MemoryError } from '../../errors.js'
import { scoped } from '../../memory/scope.js'
import { operation, type Sample } from '../operation.js'
import { copyRegion, launchCopy, merged, type StridedRegion } from './movement.js'
import { reshape } from './relabel.js'

/**
 * Along one dimension: all (`':'`), one index, `'end'`, a list of indices, a range made by `colon`, a logical list, or an
 * array of indices or (of class logical) of choices.
 */
export type Subscript = ':' | 'end' | number | readonly number[] | readonly boolean[] | Colon | DlArray

/** A range of indices: `from`, `from + step`, ... up to `to`. */
export interface Colon {
  readonly from: number | 'end'
  readonly to: number | 'end'
  readonly step: number
}

/**
 * Indices from, from + step, ... up to `to` (`'end'`: the last one), counted from 1. Errors: an {@link OptionError} for what is
 * no whole number. Source: MATLAB, `colon`.
 */
export function colon(from: number | 'end', to: number | 'end', step = 1): Colon {
  const isEnd = (end: unknown) => end === 'end' || Number.isInteger(end)
  if (!isEnd(from) || !isEnd(to) || !Number.isInteger(step) || step === 0)
    throw argumentError(
      'colon',
      "whole numbers or 'end' for from and to, and a step other than 0",
      [from, to, step],
      "Write colon(1, 'end') or colon('end', 1, -1).",
    )
  return { from, to, step }
}

/** One strided copy of a selection: where it begins in the whole and in the selection. */
interface Piece {
  readonly whole: number
  readonly selection: number
  readonly region: StridedRegion
}

/** `indices[d]` are zero-based indices along dimension d, a list for every dimension of X and perhaps more. */
interface SelectOptions {
  readonly indices: readonly (readonly number[])[]
}

/** Y(k1, k2, ...) = X(indices[0][k1], indices[1][k2], ...). */
export const selectOperation = operation({
  name: 'index',
  inputs: ['X'],
  outputs: ['Y'],
  options: { indices: [] } as SelectOptions,
  rule({ X }, { indices }) {
    const count = indices.map((list) => list.length)
    const dims = X.dims === '' ? '' : X.dims.padEnd(indices.length, 'U')
    return { outputs: [{ ...normalized(count, dims), type: X.type }], plan: { pieces: piecesOf(indices, X.size) } }
  },
  saves: [],
  gradient: {
    X: ({ gradient, options: { indices }, inputs: { X } }): DlArray =>
      placeOperation.run({ dY: gradient }, { indices, size: X.size, dims: X.dims }),
  },
  kernels: {
    reference({ inputs, outputs, plan }) {
      for (const { whole, selection, region } of plan.pieces) copyRegion(inputs.X, whole, outputs.Y, selection, region)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      for (const { whole, selection, region } of plan.pieces)
        launchCopy(wasm, inputs.X + 4 * whole, outputs.Y + 4 * selection, region)
    },
  },
  samples: (): readonly Sample<'X', SelectOptions>[] => [
    {
      inputs: { X: { size: [5, 7] } },
      options: {
        indices: [
          [1, 2, 3],
          [0, 2, 4, 6],
        ],
      },
    },
    {
      inputs: { X: { size: [6, 3, 4], format: 'SCB' } },
      options: {
        indices: [
          [5, 3, 1],
          [0, 1, 2],
          [1, 2],
        ],
      },
    },
    { inputs: { X: { size: [6, 3, 4], format: 'SCB' } }, options: { indices: [[0, 4, 5, 1, 1], [2, 0], [3]] } },
    {
      inputs: { X: { size: [3, 2] } },
      options: {
        indices: [
          [0, 1, 2],
          [0, 1],
          [0, 0, 0],
        ],
      },
    },
    { inputs: { X: { size: [4, 3] } }, options: { indices: [[], [0, 1, 2]] } },
  ],
})

interface PlaceOptions extends SelectOptions {
  readonly size: readonly number[]
  readonly dims: string
}

/** Zeros of `size`, dY added at its indices: the adjoint of a selection. */
export const placeOperation = operation({
  name: 'place',
  inputs: ['dY'],
  outputs: ['dX'],
  options: { indices: [], size: [], dims: '' } as PlaceOptions,
  rule({ dY }, { indices, size, dims }) {
    return {
      outputs: [{ size, dims, type: dY.type }],
      plan: {
        total: numel(size),
        pieces: piecesOf(indices, size).map((piece) => ({
          ...piece,
          region: { ...piece.region, xSteps: piece.region.ySteps, ySteps: piece.region.xSteps },
        })),
      },
    }
  },
  saves: [],
  gradient: {
    dY: ({ gradient, options: { indices } }): DlArray => selectOperation.run({ X: gradient }, { indices }),
  },
  kernels: {
    reference({ inputs: { dY }, outputs: { dX }, plan }) {
      dX.fill(0)
      for (const { whole, selection, region } of plan.pieces) copyRegion(dY, selection, dX, whole, region, true)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      wasm.launch('fill', { y: outputs.dX, value: 0 }, { items: plan.total, grain: 65536 })
      for (const { whole, selection, region } of plan.pieces)
        launchCopy(wasm, inputs.dY + 4 * selection, outputs.dX + 4 * whole, region, true)
    },
  },
  samples: (): readonly Sample<'dY', PlaceOptions>[] => [
    {
      inputs: { dY: { size: [3, 4] } },
      options: {
        indices: [
          [1, 2, 3],
          [0, 2, 4, 6],
        ],
        size: [5, 7],
      },
    },
    {
      inputs: { dY: { size: [5, 2, 1], format: 'SCB' } },
      options: { indices: [[0, 4, 5, 1, 1], [2, 0], [3]], size: [6, 3, 4], dims: 'SCB' },
    },
  ],
})

/** A selection from an array of `size` as strided copies: x is the whole, y the selection. */
function piecesOf(indices: readonly (readonly number[])[], size: readonly number[]): Piece[] {
  const count = indices.map((list) => list.length)
  if (count.includes(0)) return []
  const wholeStep = strides(indices.map((_, d) => size[d] ?? 1))
  const ownStep = strides(count)
  let pieces = [{ whole: 0, selection: 0, size: [] as number[], xSteps: [] as number[] }]
  indices.forEach((list, d) => {
    const runs = regularRuns(list)
    pieces = runs.flatMap(({ first, step, length, position }) =>
      pieces.map((piece) => ({
        whole: piece.whole + first * wholeStep[d]!,
        selection: piece.selection + position * ownStep[d]!,
        size: [...piece.size, length],
        xSteps: [...piece.xSteps, step * wholeStep[d]!],
      })),
    )
  })
  return pieces.map(({ whole, selection, size: extents, xSteps }) => ({
    whole,
    selection,
    region: merged({ size: extents, xSteps, ySteps: ownStep }),
  }))
}

interface Run {
  readonly first: number
  readonly step: number
  readonly length: number
  /** Where in the list it begins. */
  readonly position: number
}

/** A list cut into stretches of constant step other than 0: no index occurs twice in one. */
function regularRuns(list: readonly number[]): Run[] {
  const runs: Run[] = []
  let position = 0
  while (position < list.length) {
    const first = list[position]!
    const step = position + 1 < list.length ? list[position + 1]! - first : 0
    let length = 1
    if (step !== 0) while (list[position + length] === first + length * step) length++
    runs.push({ first, step: length > 1 ? step : 1, length, position })
    position += length
  }
  return runs
}

type Each<F extends string> = F extends `${string}${infer Rest}` ? [unknown, ...Each<Rest>] : []

/** The format after indexing: kept with a subscript per dimension, lost with fewer. */
export type Indexed<F extends string, S extends readonly unknown[]> = string extends F
  ? string
  : F extends ''
    ? ''
    : number extends S['length']
      ? string
      : S extends readonly [...Each<F>]
        ? F
        : S extends readonly [...Each<F>, ...unknown[]]
          ? string
          : // A singleton U at the end may not be there.
            F extends `${string}U`
            ? string
            : ''

/**
 * Elements of an array, as `X(i, j, ...)` in MATLAB: subscripts count from 1, one per dimension, and the format is kept.
 * Fewer subscripts than dimensions number the remaining dimensions as one, and `index(X, ':')` is the column of all elements;
 * the result is then unformatted. One list picks elements into a column, from a row vector into a row.
 *
 * Errors: a {@link DimensionError} for subscripts outside the array. Source: MATLAB, "Array Indexing".
 */
export function index<F extends string, const S extends readonly Subscript[]>(
  X: DlArray<F>,
  ...subscripts: S
): DlArray<Indexed<F, S>>
export function index(X: DlArray, ...subscripts: readonly Subscript[]): DlArray {
  if (!isdlarray(X) || subscripts.length === 0)
    throw new DimensionError({
      call: 'index',
      expects: 'a dlarray and a subscript for each of its dimensions',
      got: isdlarray(X) ? 'no subscripts' : typeof X,
      remedy: "Write index(X, ':', 1, [2, 3]).",
    })
  const first = subscripts[0]
  if (subscripts.length === 1 && X.ndims === 2 && X.size[0] === 1 && first !== ':')
    return scoped(() => select(reshape(X, X.size), [[0], indicesOf(first!, X.numel, 0, X)]))
  if (subscripts.length < X.ndims) {
    const kept = subscripts.length - 1
    return scoped(() => {
      const flat = reshape(X, [...X.size.slice(0, kept), numel(X.size.slice(kept))])
      return select(
        flat,
        flat.size.map((extent, d) => indicesOf(d < subscripts.length ? subscripts[d]! : ':', extent, d, flat)),
      )
    })
  }
  return select(
    X,
    subscripts.map((subscript, d) => indicesOf(subscript, X.size[d] ?? 1, d, X)),
  )
}

/** Throws a {@link MemoryError} before anything is made that no memory holds. */
function checkFits(size: readonly number[], call: string): void {
  if (numel(size) <= MOST_ELEMENTS) return
  throw new MemoryError({
    call,
    expects: 'a result of at most 2^30 elements',
    got: `a size of ${size.join('×')}`,
    remedy: 'Make it in parts.',
  })
}

/** The elements at zero-based indices, a list per dimension. */
export function select(X: DlArray, indices: readonly (readonly number[])[]): DlArray {
  return selectOperation.run({ X }, { indices })
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
  const one = (value: unknown): number =>
    typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= extent
      ? value - 1
      : fail(asText(value))
  const chosen = (list: ArrayLike<boolean | number>): number[] => {
    const indices: number[] = []
    for (let i = 0; i < list.length; i++)
      if (list[i]) {
        if (i >= extent) fail(`a logical list of ${list.length}`)
        indices.push(i)
      }
    return indices
  }
  if (subscript === ':') return Array.from({ length: extent }, (_, i) => i)
  if (subscript === 'end') return [one(extent)]
  if (isdlarray(subscript))
    return subscript.underlyingType === 'logical' ? chosen(subscript.values()) : Array.from(subscript.values(), one)
  if (isList(subscript))
    return subscript.every((item) => typeof item === 'boolean') ? chosen(subscript) : Array.from(subscript, one)
  if (typeof subscript === 'object' && subscript !== null && 'from' in subscript) {
    const { step } = subscript
    const from = subscript.from === 'end' ? extent : subscript.from
    const to = subscript.to === 'end' ? extent : subscript.to
    if (![from, to, step].every(Number.isInteger) || step === 0) fail(`${from}:${step}:${to}`)
    const indices: number[] = []
    for (let i = from; step > 0 ? i <= to : i >= to; i += step) indices.push(one(i))
    return indices
  }
  return [one(subscript)]
}

function isList(subscript: Subscript): subscript is readonly number[] | readonly boolean[] {
  return Array.isArray(subscript)
}

/** What the heap has room for in single precision. */
const MOST_ELEMENTS = 2 ** 30

/**
 * The zero-based dimension that a user names by its number, counted from 1, or by a label that occurs once. Throws a
 * {@link DimensionError} otherwise.
 */
export function dimensionNamed(
  X: { readonly size: readonly number[]; readonly dims: string },
  dimension: number | string,
  call: string,
): number {
  const position =
    typeof dimension === 'string' && dimension.length === 1 && X.dims.split(dimension).length === 2
      ? X.dims.indexOf(dimension)
      : typeof dimension === 'number' && Number.isInteger(dimension)
        ? dimension - 1
        : -1
  if (position >= 0 && position < MOST_DIMENSIONS) return position
  throw new DimensionError({
    call,
    expects: `a dimension: its number, from 1 to ${MOST_DIMENSIONS}, or a label that occurs once in the array`,
    got: `${asText(dimension)} for ${describe(X)}`,
    remedy: 'Name one dimension.',
  })
}

/** The zero-based first dimension that is not 1, which MATLAB's functions take when none is named. */
function firstNonSingleton(X: DlArray): number {
  return Math.max(
    0,
    X.size.findIndex((extent) => extent !== 1),
  )
}

function alongOne(X: DlArray, dimension: number, indices: (extent: number) => number[]): DlArray {
  const count = Math.max(X.ndims, dimension + 1)
  return select(
    X,
    Array.from({ length: count }, (_, d) => {
      const extent = X.size[d] ?? 1
      return d === dimension ? indices(extent) : Array.from({ length: extent }, (_, i) => i)
    }),
  )
}

/**
 * The elements in reverse order along a dimension: a number counted from 1, or a label. Default: the first dimension that is
 * not 1. Errors: a {@link DimensionError} for a dimension that is none. Source: MATLAB, `flip`.
 */
export function flip<F extends string>(X: DlArray<F>, dimension?: number | string): DlArray<F> {
  checkArray(X, 'flip')
  const along = dimension === undefined ? firstNonSingleton(X) : dimensionNamed(X, dimension, 'flip')
  return alongOne(X, along, (extent) => Array.from({ length: extent }, (_, i) => extent - 1 - i)) as DlArray<F>
}

/**
 * The elements moved on by `by` places along a dimension (a number counted from 1, or a label), those at the end coming back
 * at the beginning. Default: the first dimension that is not 1. Errors: a {@link DimensionError} for a dimension that is none
 * or a shift that is not whole. Source: MATLAB, `circshift`.
 */
export function circshift<F extends string>(X: DlArray<F>, by: number, dimension?: number | string): DlArray<F> {
  checkArray(X, 'circshift')
  if (!Number.isInteger(by))
    throw new DimensionError({
      call: 'circshift',
      expects: 'a whole number of places',
      got: asText(by),
      remedy: 'Positive numbers move on, negative ones back.',
    })
  const along = dimension === undefined ? firstNonSingleton(X) : dimensionNamed(X, dimension, 'circshift')
  return alongOne(X, along, (extent) =>
    Array.from({ length: extent }, (_, i) => (((i - by) % extent) + extent) % extent),
  ) as DlArray<F>
}

/**
 * Copies of an array side by side, `counts[d]` of them along dimension d; one number makes as many along both of the first
 * two. The format is kept, dimensions beyond it becoming U. Errors: a {@link DimensionError} for counts that are not whole or
 * are negative. Source: MATLAB, `repmat`.
 */
export function repmat<F extends string>(X: DlArray<F>, counts: number | readonly number[]): DlArray<F> {
  checkArray(X, 'repmat')
  const given = typeof counts === 'number' ? [counts, counts] : counts
  if (
    !Array.isArray(given) ||
    given.length === 0 ||
    given.length > MOST_DIMENSIONS ||
    given.some((count) => !Number.isInteger(count) || count < 0)
  )
    throw new DimensionError({
      call: 'repmat',
      expects: 'a count for each dimension, whole and not negative',
      got: `${asText(given)} for ${describe(X)}`,
      remedy: 'Give 1 for a dimension that is not to be repeated.',
    })
  const size = Array.from({ length: Math.max(X.ndims, given.length) }, (_, d) => (X.size[d] ?? 1) * (given[d] ?? 1))
  checkFits(size, 'repmat')
  return select(
    X,
    size.map((extent, d) => Array.from({ length: extent }, (_, i) => i % (X.size[d] ?? 1))),
  ) as DlArray<F>
}
