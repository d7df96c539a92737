import * as v from 'valibot'
import type { ArrayInfo } from '../array/dlarray.js'
import { describe, positionsOf } from '../array/format.js'
import { DimensionError } from '../errors.js'
import { resolvePadding } from '../operations/convolution/convolution-geometry.js'
import { accepts, type Check, optionError, type Place, positiveInteger } from './property.js'

// What convolution and pooling layers share: windows over one, two or three dimensions, in MATLAB's forms.

export type Rank = 1 | 2 | 3

/** One number, or one for each dimension. */
export type WindowSize = number | readonly number[]

/**
 * Pixels added at the edges: one number for all; one for each dimension; one for each edge (`[left, right]`, or `[top, bottom,
 * left, right]`); two rows, the beginnings and the ends; `'same'`: output extent = ceil(input extent / stride), an odd pixel at
 * the end; `'causal'`, in one dimension: all at the beginning.
 */
export type WindowPadding = number | readonly number[] | readonly (readonly number[])[] | 'same' | 'causal'

/** A positive whole number for each dimension: a number for one dimension, else a list. A single number is repeated. */
export function perDimension(rank: Rank, what: string): Check {
  const list = v.pipe(v.array(positiveInteger), v.length(rank))
  const repeat = v.pipe(
    positiveInteger,
    v.transform((value) => Array<number>(rank).fill(value)),
  )
  return accepts(
    rank === 1
      ? v.union([
          positiveInteger,
          v.pipe(
            list,
            v.transform(([only]) => only!),
          ),
        ])
      : v.union([repeat, list]),
    rank === 1 ? 'a positive whole number' : `a positive whole number, or ${rank} of them`,
    what,
  )
}

/** The values for each dimension as a list. */
export function listOf(value: WindowSize): readonly number[] {
  return typeof value === 'number' ? [value] : value
}

/**
 * How the padding of a layer was chosen: by numbers, so that the output is as large as the input / stride, or before the first
 * element alone.
 */
export type PaddingMode = 'manual' | 'same' | 'causal'

/** Padding as layers keep it: `[left, right]`, `[top, bottom, left, right]` or two rows of three; empty while 'same'. */
export type PaddingSize = readonly number[] | readonly (readonly number[])[]

/** Before and after each dimension. */
export interface Edges {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** The padding argument in any of its forms as mode and edges; undefined edges depend on the input. */
export function readPadding(
  value: unknown,
  rank: Rank,
  place: Place,
  causal: boolean,
): { mode: PaddingMode; edges: Edges | undefined } {
  if (value === 'same') return { mode: 'same', edges: undefined }
  if (value === 'causal' && causal) return { mode: 'causal', edges: undefined }
  const edges = readEdges(value, rank)
  if (edges) return { mode: 'manual', edges }
  const forms = {
    1: 'a whole number of 0 or more, [left, right]',
    2: 'a whole number of 0 or more, [vertical, horizontal], [top, bottom, left, right], [[top, left], [bottom, right]]',
    3: 'a whole number of 0 or more, one for each of 3 dimensions, [[top, left, front], [bottom, right, back]]',
  }
  const names = causal ? ", 'same' or 'causal'" : " or 'same'"
  throw optionError(place, `${forms[rank]}${names}`, value, "With 'same' the output is as large as the input / stride.")
}

function readEdges(value: unknown, rank: Rank): Edges | undefined {
  const whole = (list: unknown): list is readonly number[] =>
    Array.isArray(list) && list.every((entry) => Number.isInteger(entry) && entry >= 0)
  if (typeof value === 'number') {
    const row = Array<number>(rank).fill(value)
    return whole(row) ? { before: row, after: row } : undefined
  }
  if (whole(value)) {
    if (value.length === rank) return { before: value, after: value }
    if (rank === 1 && value.length === 2) return { before: [value[0]!], after: [value[1]!] }
    if (rank === 2 && value.length === 4) return { before: [value[0]!, value[2]!], after: [value[1]!, value[3]!] }
    return undefined
  }
  if (!Array.isArray(value) || value.length !== 2) return undefined
  const [before, after]: unknown[] = value
  return whole(before) && whole(after) && before.length === rank && after.length === rank
    ? { before, after }
    : undefined
}

/** Edges in the form of the property `paddingSize`. */
export function paddingSizeOf({ before, after }: Edges): PaddingSize {
  if (before.length === 3) return [[...before], [...after]]
  return before.flatMap((first, d) => [first, after[d]!])
}

/** The property `paddingSize` as two rows. */
export function edgesOf(size: PaddingSize): [before: number[], after: number[]] {
  if (Array.isArray(size[0])) return (size as readonly (readonly number[])[]).map((row) => [...row]) as never
  const list = size as readonly number[]
  return [list.filter((_, i) => i % 2 === 0), list.filter((_, i) => i % 2 === 1)]
}

/** Checks a `paddingSize` read from a file. */
export function paddingSizeCheck(rank: Rank): Check {
  return (value, place) => {
    if (value === undefined) return undefined
    const edges = readEdges(rank === 2 && !(Array.isArray(value) && value.length === 4) ? undefined : value, rank)
    if (edges) return paddingSizeOf(edges)
    throw optionError(place, 'the padding of each edge', value, 'Give the layer function its padding argument.')
  }
}

/** An input with the dimensions that windows move over in front, as S. */
export interface WindowedInput {
  readonly image: ArrayInfo
  /** Labels of these dimensions: `'SS'`, `'ST'`. */
  readonly over: string
  /** The result for what the image becomes. */
  restore(Y: ArrayInfo): ArrayInfo
}

/**
 * Windows over `rank` dimensions move over the S of an input with as many, or over S and T of one with an S less.
 */
export function windowedInput(X: ArrayInfo, rank: Rank, call: string): WindowedInput {
  const spatial = positionsOf(X.dims, 'S')
  const channel = X.dims.indexOf('C')
  const time = X.dims.indexOf('T')
  const withTime = spatial.length === rank - 1 && time >= 0
  if (channel < 0 || (spatial.length !== rank && !withTime)) {
    const plural = (n: number) => `${n} spatial dimension${n === 1 ? '' : 's'}`
    const withTimeText = rank === 1 ? 'or time (T)' : `or ${rank - 1} and time (T)`
    const [formats, alternative] = ['S'.repeat(rank), `${'S'.repeat(rank - 1)}CBT`]
    throw new DimensionError({
      call,
      expects: `an input with channels (C) and ${plural(rank)} (S), ${withTimeText}, such as ${formats}CB or ${alternative}`,
      got: `${describe(X)}: ${plural(spatial.length)}${time < 0 ? '' : ', time'}${channel < 0 ? ', no channels' : ''}`,
      remedy: 'Check the format of the data, or use the layer for that number of dimensions.',
    })
  }
  const moved = withTime ? [...spatial, time] : spatial
  const rest = X.size.map((_, d) => d).filter((d) => !moved.includes(d))
  return {
    image: {
      size: [...moved, ...rest].map((d) => X.size[d]!),
      dims: 'S'.repeat(rank) + rest.map((d) => X.dims[d]).join(''),
      type: X.type,
    },
    over: moved.map((d) => X.dims[d]).join(''),
    restore: (Y) => ({
      size: X.size.map((extent, d) => {
        if (d === channel) return Y.size[rank]!
        return moved.includes(d) ? Y.size[moved.indexOf(d)]! : extent
      }),
      dims: X.dims,
      type: Y.type,
    }),
  }
}

/** What `'same'` amounts to for this input, in the form of the property `paddingSize`. */
export function resolvedSamePadding(
  X: ArrayInfo,
  rank: Rank,
  reach: readonly number[],
  stride: readonly number[],
  call: string,
): PaddingSize {
  const extents = windowedInput(X, rank, call).image.size.slice(0, rank)
  return paddingSizeOf(resolvePadding('same', extents, reach, stride, call))
}

// --- Text ---------------------------------------------------------------------------------------------------------------

/** `5×5`. */
export function timesText(value: WindowSize): string {
  return listOf(value).join('×')
}

/** `[1  1]`, `[0  0  0; 0  0  0]`, or a number as it is. */
export function bracketText(value: number | PaddingSize): string {
  if (typeof value === 'number') return String(value)
  const rows = Array.isArray(value[0]) ? (value as readonly (readonly number[])[]) : [value as readonly number[]]
  return `[${rows.map((row) => row.join('  ')).join('; ')}]`
}

/** `padding [0  0  0  0]`, `padding 'same'`. */
export function paddingText(mode: PaddingMode, size: PaddingSize | undefined): string {
  return `padding ${mode === 'manual' ? bracketText(size!) : `'${mode}'`}`
}
