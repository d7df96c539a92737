import { type DlArray, isdlarray } from '../../array/dlarray.js'
import { describe, numel } from '../../array/format.js'
import { argumentError, asText, DimensionError } from '../../errors.js'
import { scoped } from '../../memory/scope.js'
import { reshape } from './relabel.js'
import { select } from './selection.js'

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
