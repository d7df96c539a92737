import { checkArray, type DlArray } from '../../array/dlarray.js'
import { canonical, checkFormat, describe, normalized, numel, storedOrder } from '../../array/format.js'
import { asText, DimensionError } from '../../errors.js'
import { scoped } from '../../memory/scope.js'
import { operation } from '../operation.js'
import { permuteOperation } from './permute.js'

/** The same elements in the same order under other labels or another size. Its gradient is its inverse. */
export const relabelOperation = operation({
  name: 'relabel',
  inputs: ['X'],
  outputs: ['Y'],
  options: { size: [] as readonly number[], dims: '' },
  rule({ X }, { size, dims }) {
    if (numel(size) !== numel(X.size))
      throw new DimensionError({
        call: 'reshape',
        expects: `a size with ${numel(X.size)} elements, as many as the array has`,
        got: `${size.join('×')} (${numel(size)} elements) for ${describe(X)}`,
        remedy: 'Give sizes whose product is the number of elements.',
      })
    return { outputs: [{ ...normalized(size, dims), type: X.type }], plan: undefined }
  },
  saves: [],
  gradient: {
    X: ({ gradient, inputs }): DlArray =>
      relabelOperation.run({ X: gradient }, { size: inputs.X.size, dims: inputs.X.dims }),
  },
  kernels: 'view',
  samples: () => [
    { inputs: { X: { size: [2, 3, 4], format: 'SCB' } }, options: { size: [2, 3, 4], dims: '' } },
    { inputs: { X: { size: [2, 3] } }, options: { size: [2, 3], dims: 'CB' } },
    { inputs: { X: { size: [0, 3] } }, options: { size: [3, 0], dims: '' } },
  ],
})

/**
 * Labels an unformatted array, one label per dimension of `X`; the dimensions move to the order S, C, B, T, U. Labels beyond
 * the array's dimensions make singleton dimensions.
 */
export function label(X: DlArray, format: string, call: string): DlArray {
  checkFormat(format, call)
  const { size } = trimmed(X.size, format.length)
  if (format.length < size.length)
    throw new DimensionError({
      call,
      expects: 'at least one label per dimension',
      got: `'${format}' (${format.length} label${format.length === 1 ? '' : 's'}) for ${describe(X)} (${size.length} dimensions)`,
      remedy: `Give ${size.length} labels; label dimensions without a meaning U.`,
    })
  const full = [...size, ...Array<number>(format.length - size.length).fill(1)]
  const order = storedOrder(format)
  const dims = canonical(format)
  if (order.every((position, i) => position === i)) return relabelOperation.run({ X }, { size: full, dims })
  return moved(
    X,
    full,
    order,
    order.map((position) => full[position]!),
    dims,
  )
}

/** `X` seen as an array of size `full`, its dimensions in the given order, under a final size and labels. */
function moved(
  X: DlArray,
  full: readonly number[],
  order: readonly number[],
  size: readonly number[],
  dims: string,
): DlArray {
  return scoped(() => {
    const plain = relabelOperation.run({ X }, { size: full, dims: '' })
    const Y = permuteOperation.run({ X: plain }, { order: padded(order, plain.size.length) })
    return relabelOperation.run({ X: Y }, { size, dims })
  })
}

/** A size without the trailing singletons that every array has beyond `length` dimensions. */
function trimmed(size: readonly number[], length: number): { size: number[] } {
  const result = [...size]
  while (result.length > length && result[result.length - 1] === 1) result.pop()
  return { size: result }
}

/** `order` without its trailing positions that a normalised array of `count` dimensions no longer has. */
function padded(order: readonly number[], count: number): number[] {
  const kept = order.filter((position) => position < count)
  for (let position = 0; position < count; position++) if (!kept.includes(position)) kept.push(position)
  return kept
}

/**
 * The same elements without labels; with `format`, permuted to that order of labels.
 *
 * Errors: a {@link DimensionError} when `format` does not have the labels of `X`. Source: MATLAB, `stripdims`.
 */
export function stripdims(X: DlArray, format?: string): DlArray<''> {
  checkArray(X, 'stripdims')
  if (format !== undefined && X.dims !== '') {
    checkFormat(format, 'stripdims')
    const order = orderOf(X, format)
    if (!order)
      throw new DimensionError({
        call: 'stripdims',
        expects: `an order of the labels of '${X.dims}'`,
        got: `'${format}'`,
        remedy: 'Name each label of the array once per dimension.',
      })
    const size = order.map((position) => X.size[position] ?? 1)
    return moved(X, X.size, order, size, '') as DlArray<''>
  }
  return relabelOperation.run({ X }, { size: X.size, dims: '' }) as DlArray<''>
}

/** For each label of `format` the position in `X` of the dimension it means; undefined when the labels differ. */
function orderOf(X: DlArray, format: string): number[] | undefined {
  const taken = new Set<number>()
  const order: number[] = []
  for (const name of format) {
    let position = [...X.dims].findIndex((dim, i) => dim === name && !taken.has(i))
    // Singleton U dimensions at the end exist although they are not stored.
    if (position < 0 && name === 'U') position = X.dims.length + order.length
    if (position < 0) return undefined
    taken.add(position)
    order.push(position)
  }
  for (let i = 0; i < X.dims.length; i++) {
    if (taken.has(i)) continue
    if (X.size[i] !== 1) return undefined
    order.push(i)
  }
  return order
}

/** Reshapes to `size`; the result is unformatted. One entry may be `undefined`: it takes what is left. Source: MATLAB, `reshape`. */
export function reshape(X: DlArray, size: readonly (number | undefined)[]): DlArray<''> {
  checkArray(X, 'reshape')
  if (!Array.isArray(size))
    throw new DimensionError({
      call: 'reshape',
      expects: 'a size as a list',
      got: asText(size),
      remedy: 'Write reshape(X, [3, 4]).',
    })
  const open = size.filter((extent) => extent === undefined).length
  const known = numel(size.map((extent) => extent ?? 1))
  const bad = size.some((extent) => extent !== undefined && !(Number.isInteger(extent) && extent >= 0))
  if (bad || open > 1 || (open === 1 && X.numel % known !== 0))
    throw new DimensionError({
      call: 'reshape',
      expects: 'whole numbers, at most one of them left open, that divide the number of elements',
      got: `[${size.map((extent) => extent ?? 'open').join(', ')}] for ${describe(X)}`,
      remedy: 'Give sizes whose product is the number of elements.',
    })
  return relabelOperation.run({ X }, { size: size.map((extent) => extent ?? X.numel / known), dims: '' }) as DlArray<''>
}

/** Drops singleton dimensions with their labels; arrays with two dimensions stay as they are. Source: MATLAB, `squeeze`. */
export function squeeze(X: DlArray): DlArray {
  checkArray(X, 'squeeze')
  if (X.ndims <= 2) return relabelOperation.run({ X }, { size: X.size, dims: X.dims })
  const kept = X.size.map((_, i) => i).filter((i) => X.size[i] !== 1)
  return relabelOperation.run(
    { X },
    { size: kept.map((i) => X.size[i]!), dims: X.dims === '' ? '' : kept.map((i) => X.dims[i]).join('') || 'UU' },
  )
}
