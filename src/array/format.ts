import { asText, DimensionError } from '../errors.js'

/**
 * The grammar of formats. A format is one label per dimension: `S` spatial, `C` channel, `B` batch (observation), `T` time,
 * `U` unspecified. `S` and `U` may repeat; `C`, `B` and `T` occur at most once. A formatted array is always stored in the
 * order S, C, B, T, U, has at least two dimensions, and drops singleton `U` dimensions at its end beyond the second.
 * Source: MATLAB, `dlarray`.
 */
export type Label = 'S' | 'C' | 'B' | 'T' | 'U'

/** The labels in the order in which a formatted array stores them. */
export const labelOrder = 'SCBTU'

/** A dimension beyond is a mistake: every one up to it would take time and memory. */
export const MOST_DIMENSIONS = 64

// --- What the compiler knows about formats ---------------------------------------------------------------------------

type Only<F extends string, L extends Label> = F extends `${infer Head}${infer Rest}`
  ? `${Head extends L ? Head : ''}${Only<Rest, L>}`
  : ''

type Sorted<F extends string> = `${Only<F, 'S'>}${Only<F, 'C'>}${Only<F, 'B'>}${Only<F, 'T'>}${Only<F, 'U'>}`

type AtLeastTwo<F extends string> = F extends Label ? `${F}U` : F

/**
 * The format an array labelled `F` has: `Canonical<'TCB'>` is `'CBT'`, `Canonical<'C'>` is `'CU'`. Sizes are not known here: a
 * U at the end that turns out to be a singleton is in the type and not in the array.
 */
export type Canonical<F extends string> = string extends F ? string : AtLeastTwo<Sorted<F>>

type FirstUnknown<F extends string> = F extends `${infer Head}${infer Rest}`
  ? Head extends Label
    ? FirstUnknown<Rest>
    : Head
  : never

type Twice<F extends string, L extends Label> = F extends `${string}${L}${infer Rest}`
  ? Rest extends `${string}${L}${string}`
    ? L
    : never
  : never

type Repeated<F extends string> = Twice<F, 'C'> | Twice<F, 'B'> | Twice<F, 'T'>

/** `F` itself when it is a format, otherwise a sentence that the editor shows. Formats known only at run time pass. */
export type ValidFormat<F extends string> = string extends F
  ? F
  : [FirstUnknown<F>] extends [never]
    ? [Repeated<F>] extends [never]
      ? F
      : `'${Repeated<F>}' may occur only once in a format`
    : `'${FirstUnknown<F>}' is not a label: use S, C, B, T or U`

type Letters<F extends string> = F extends `${infer Head}${infer Rest}` ? Head | Letters<Rest> : never

/** `X` when it labels a dimension of `F`, otherwise a sentence that the editor shows. */
export type Known<F extends string, X extends string> = string extends F
  ? X
  : string extends X
    ? X
    : [Exclude<Letters<X>, Letters<F>>] extends [never]
      ? X
      : F extends ''
        ? `an unformatted array has no labels: give dimension numbers instead of '${X}'`
        : `'${Exclude<Letters<X>, Letters<F>>}' is not a dimension of '${F}'`

type Longer<A extends string, B extends string> = A extends `${B}${string}` ? A : B

type Union<A extends string, B extends string> = `${Longer<Only<A, 'S'>, Only<B, 'S'>>}${Longer<
  Only<A, 'C'>,
  Only<B, 'C'>
>}${Longer<Only<A, 'B'>, Only<B, 'B'>>}${Longer<Only<A, 'T'>, Only<B, 'T'>>}${Longer<Only<A, 'U'>, Only<B, 'U'>>}`

/** The format of an element-wise combination of an array labelled `A` with one labelled `B`. */
export type Combined<A extends string, B extends string> = string extends A
  ? string
  : string extends B
    ? string
    : A extends ''
      ? B
      : B extends ''
        ? A
        : DropU<Union<A, B>>

// `CU` and `SCB` give `SCB`: the U of a vector is a singleton and goes when other dimensions follow it.
type DropU<F extends string> = F extends `${infer A}${infer B}${infer C}U`
  ? C extends ''
    ? F
    : `${A}${B}${C}` extends `${string}U`
      ? F
      : `${A}${B}${C}`
  : F

// --- What is checked at run time -------------------------------------------------------------------------------------

/** Throws a {@link DimensionError} unless `format` is one; `call` names who asks. */
export function checkFormat(format: string, call: string): void {
  if (typeof format !== 'string')
    throw new DimensionError({
      call,
      expects: 'a format as text',
      got: asText(format),
      remedy: "Write labels in quotes: 'SSCB'.",
    })
  for (const letter of format)
    if (!labelOrder.includes(letter))
      throw new DimensionError({
        call,
        expects: 'a format made of the labels S, C, B, T and U',
        got: `'${format}' with '${letter}'`,
        remedy: /^[scbtu]+$/i.test(format)
          ? `Did you mean '${format.toUpperCase()}'?`
          : 'Label each dimension S (spatial), C (channel), B (batch), T (time) or U (unspecified).',
      })
  for (const label of 'CBT')
    if (format.split(label).length > 2)
      throw new DimensionError({
        call,
        expects: `the label ${label} at most once`,
        got: `'${format}'`,
        remedy: 'Only S and U may repeat; label the other dimensions U.',
      })
}

/** The positions of `format`'s labels in stored order: `[1, 2, 0]` for `'TCB'`. Equal labels keep their order. */
export function storedOrder(format: string): number[] {
  return [...format]
    .map((label, position) => ({ rank: labelOrder.indexOf(label), position }))
    .sort((a, b) => a.rank - b.rank || a.position - b.position)
    .map(({ position }) => position)
}

/** The same labels in stored order. */
export function canonical(format: string): string {
  return storedOrder(format)
    .map((position) => format[position])
    .join('')
}

/** Zero-based positions of a label in `dims`. */
export function positionsOf(dims: string, labels: string): number[] {
  const found: number[] = []
  for (let position = 0; position < dims.length; position++) if (labels.includes(dims[position]!)) found.push(position)
  return found
}

/** Size and labels brought to the form arrays have: two dimensions at least, no singleton U (or, without labels, no singleton) at the end. */
export function normalized(size: readonly number[], dims: string): { size: number[]; dims: string } {
  const result = [...size]
  let labels = dims
  const formatted = dims !== ''
  if (formatted) while (result.length < labels.length) result.push(1)
  while (result.length < 2) {
    result.push(1)
    if (formatted) labels += 'U'
  }
  while (result.length > 2 && result[result.length - 1] === 1 && (!formatted || labels[result.length - 1] === 'U')) {
    result.pop()
    if (formatted) labels = labels.slice(0, -1)
  }
  return { size: result, dims: labels }
}

/** Number of elements. */
export function numel(size: readonly number[]): number {
  let count = 1
  for (const extent of size) count *= extent
  return count
}

/** Elements from one index to the next along each dimension, column-major. */
export function strides(size: readonly number[]): number[] {
  const result: number[] = []
  let step = 1
  for (const extent of size) {
    result.push(step)
    step *= extent
  }
  return result
}

/** `'28(S) x 28(S) x 3(C)'` or, without labels, `'28x28x3'`: how messages write a size. */
export function describe(array: { readonly size: readonly number[]; readonly dims: string }): string {
  return array.dims === ''
    ? `${array.size.join('×')} unformatted`
    : array.size.map((extent, position) => `${extent}(${array.dims[position]})`).join(' × ')
}
