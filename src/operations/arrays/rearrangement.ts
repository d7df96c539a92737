import { checkArray, type DlArray } from '../../array/dlarray.js'
import { describe, MOST_DIMENSIONS, numel } from '../../array/format.js'
import { asText, DimensionError, MemoryError } from '../../errors.js'
import { select } from './selection.js'

// Elements in another order along a dimension, or repeated.

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

/** What the heap has room for in single precision. */
const MOST_ELEMENTS = 2 ** 30

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
