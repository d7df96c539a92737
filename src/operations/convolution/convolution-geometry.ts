import type { ArrayInfo } from '../../array/dlarray.js'
import { describe, numel } from '../../array/format.js'
import { asText, DimensionError, OptionError } from '../../errors.js'

/** Values for height, width and depth of a convolution; missing dimensions have extent 1. */
export type Triple = readonly [number, number, number]

/** A convolution, its transpose and its gradients, described once: `output` = convolution of `image`. */
export interface ConvolutionGeometry {
  /** Convolved dimensions, 1 to 3. */
  readonly rank: number
  /** Images convolved: the product of everything after the channels. */
  readonly observations: number
  readonly groups: number
  /** Channels of the image per group. */
  readonly channels: number
  /** Filters, that is channels of the output, per group. */
  readonly filters: number
  readonly image: Triple
  readonly output: Triple
  readonly taps: Triple
  readonly stride: Triple
  readonly dilation: Triple
  /** Padding before the first and after the last element. */
  readonly before: Triple
  readonly after: Triple
}

/**
 * Padding in pixels: one number for every edge; one number per dimension for both of its edges (for one dimension also
 * `[begin, end]`); two rows, the beginnings and the ends, as MATLAB's 2-by-n matrix: `[[top, left], [bottom, right]]`;
 * `'same'`: output extent = ceil(input extent / stride), an odd pixel at the end; `'causal'`, in one dimension: all at the
 * beginning.
 */
export type Padding = number | readonly number[] | readonly (readonly number[])[] | 'same' | 'causal'

/** One number, or one per dimension. */
export type PerDimension = number | readonly number[]

/** What the windows of a convolution are, before sizes are known. */
export interface WindowOptions {
  readonly stride: PerDimension
  readonly dilationFactor: PerDimension
  readonly padding: Padding
}

/** An image [S..., C, rest]: extents of its S dimensions, channels, and the number of images. */
export interface ImageLayout {
  readonly extents: readonly number[]
  readonly channels: number
  readonly observations: number
}

/** Throws a {@link DimensionError} unless the array is one to three S dimensions, C, and whatever follows. */
export function imageLayout(X: ArrayInfo, call: string): ImageLayout {
  const rank = X.dims.indexOf('C')
  if (rank < 1 || rank > 3)
    throw new DimensionError({
      call,
      expects: 'an array with a channel dimension (C) and one to three dimensions to convolve over (S)',
      got: describe(X),
      remedy:
        X.dims === ''
          ? 'Label it with dlarray(X, format) or give dataFormat.'
          : "Label these dimensions S and C; to convolve over time give weightsFormat with a T, as in 'TCU'.",
    })
  return {
    extents: X.size.slice(0, rank),
    channels: X.size[rank]!,
    observations: numel(X.size.slice(rank + 1)),
  }
}

/** Weights [filter..., inner, outer, groups]: `inner` is channels per group of a convolution. */
export interface WeightsLayout {
  readonly filter: readonly number[]
  readonly inner: number
  readonly outer: number
  readonly groups: number
}

/** Throws a {@link DimensionError} when the weights have more dimensions than filter, channels, filters and groups. */
export function weightsLayout(weights: ArrayInfo, rank: number, order: string, call: string): WeightsLayout {
  const at = (position: number) => weights.size[position] ?? 1
  if (weights.size.length > rank + 3)
    throw new DimensionError({
      call,
      expects: `weights with at most ${rank + 3} dimensions: ${rank} of the filter, ${order}, groups`,
      got: describe(weights),
      remedy:
        'The filter has one dimension for each S of X; name the dimensions with weightsFormat to convolve over T.',
    })
  return {
    filter: Array.from({ length: rank }, (_, d) => at(d)),
    inner: at(rank),
    outer: at(rank + 1),
    groups: at(rank + 2),
  }
}

/** The geometry of a convolution of `image` with filters of the given size; throws for windows that do not fit. */
export function convolutionGeometry(
  image: ImageLayout,
  weights: WeightsLayout,
  options: WindowOptions,
  call: string,
): ConvolutionGeometry {
  const rank = image.extents.length
  const stride = positive(options.stride, rank, 'stride', call)
  const dilation = positive(options.dilationFactor, rank, 'dilationFactor', call)
  const reach = weights.filter.map((taps, d) => (taps - 1) * dilation[d]! + 1)
  const edges = resolvePadding(options.padding, image.extents, reach, stride, call)
  const output = image.extents.map((extent, d) => {
    const room = extent + edges.before[d]! + edges.after[d]! - reach[d]!
    if (room < 0 || weights.filter[d]! < 1)
      throw new DimensionError({
        call,
        expects: 'a filter that is not larger than the padded image',
        got: `a filter reaching over ${reach.join('×')} for an image of ${image.extents.join('×')} padded by ${edges.before.join(', ')} before and ${edges.after.join(', ')} after`,
        remedy: "Use a smaller filter or dilationFactor, or more padding ('same' keeps the size).",
      })
    return Math.floor(room / stride[d]!) + 1
  })
  return {
    rank,
    observations: image.observations,
    groups: weights.groups,
    channels: weights.inner,
    filters: weights.outer,
    image: triple(image.extents, 1),
    output: triple(output, 1),
    taps: triple(weights.filter, 1),
    stride: triple(stride, 1),
    dilation: triple(dilation, 1),
    before: triple(edges.before, 0),
    after: triple(edges.after, 0),
  }
}

/** The values of the convolved dimensions of a triple. */
export function ofRank({ rank }: ConvolutionGeometry, values: Triple): number[] {
  return values.slice(0, rank)
}

/** The window options that give this geometry again, without 'same' and the like. */
export function windowOptions(geometry: ConvolutionGeometry): WindowOptions {
  return {
    stride: ofRank(geometry, geometry.stride),
    dilationFactor: ofRank(geometry, geometry.dilation),
    padding: [ofRank(geometry, geometry.before), ofRank(geometry, geometry.after)],
  }
}

export function triple(values: readonly number[], missing: number): Triple {
  return [values[0] ?? missing, values[1] ?? missing, values[2] ?? missing]
}

export function product(values: readonly number[]): number {
  return values.reduce((total, value) => total * value, 1)
}

/** A whole number of 1 or more for each dimension. */
export function positive(given: PerDimension, rank: number, name: string, call: string): number[] {
  const values = typeof given === 'number' ? Array<number>(rank).fill(given) : Array.isArray(given) ? [...given] : []
  if (values.length !== rank || !values.every((value) => Number.isInteger(value) && value >= 1))
    throw new OptionError({
      call,
      expects: `for ${name} a positive whole number, or one for each of the ${rank} dimensions`,
      got: asText(given),
      remedy: `Give ${name} one number or ${rank} of them.`,
    })
  return values
}

interface Edges {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** Padding as two rows, for windows that reach over `reach` pixels. */
export function resolvePadding(
  padding: Padding,
  extents: readonly number[],
  reach: readonly number[],
  stride: readonly number[],
  call: string,
): Edges {
  if (padding === 'same') {
    const total = extents.map((extent, d) =>
      Math.max(0, (Math.ceil(extent / stride[d]!) - 1) * stride[d]! + reach[d]! - extent),
    )
    return { before: total.map((t) => Math.floor(t / 2)), after: total.map((t) => Math.ceil(t / 2)) }
  }
  if (padding === 'causal') {
    if (extents.length !== 1)
      throw new OptionError({
        call,
        expects: "padding 'causal' with one dimension to convolve over",
        got: `${extents.length} dimensions`,
        remedy: "Use 'same' or numbers.",
      })
    return { before: [reach[0]! - 1], after: [0] }
  }
  if (typeof padding === 'string')
    throw new OptionError({
      call,
      expects: `for padding ${extents.length === 1 ? "'same', 'causal'" : "'same'"} or numbers`,
      got: asText(padding),
      remedy: "'same' keeps the size at stride 1; numbers are pixels added at each edge.",
    })
  return resolveEdges(padding, extents.length, 'padding', call)
}

/** Amounts at the edges (padding or cropping) as two rows; throws an {@link OptionError} for another shape. */
export function resolveEdges(given: Exclude<Padding, string>, rank: number, name: string, call: string): Edges {
  const wrong = () =>
    new OptionError({
      call,
      expects: `for ${name} whole numbers of 0 or more: one, ${rank} of them, or [[begins], [ends]] with ${rank} in each row`,
      got: asText(given),
      remedy: `Write [[top, left], [bottom, right]] to give each edge its own ${name}.`,
    })
  const whole = (row: readonly number[]) => row.every((value) => Number.isInteger(value) && value >= 0)
  if (typeof given === 'number') {
    if (!whole([given])) throw wrong()
    const row = Array<number>(rank).fill(given)
    return { before: row, after: row }
  }
  if (!Array.isArray(given)) throw wrong()
  const rows: readonly unknown[] = given
  if (rows.every((row) => typeof row === 'number')) {
    const row = rows as readonly number[]
    if (!whole(row)) throw wrong()
    if (rank === 1 && row.length === 2) return { before: [row[0]!], after: [row[1]!] }
    if (row.length !== rank) throw wrong()
    return { before: row, after: row }
  }
  const [before, after] = rows as readonly (readonly number[])[]
  if (rows.length !== 2 || !Array.isArray(before) || !Array.isArray(after)) throw wrong()
  if (before.length !== rank || after.length !== rank || !whole(before) || !whole(after)) throw wrong()
  return { before, after }
}

/** The triple with the other sign. */
export function negative([height, width, depth]: Triple): Triple {
  return [-height, -width, -depth]
}

/** The fields `name`H, `name`W and `name`D of a kernel's block. */
export function inDimensions<N extends string>(
  name: N,
  [height, width, depth]: Triple,
): { readonly [K in `${N}H` | `${N}W` | `${N}D`]: number } {
  return { [`${name}H`]: height, [`${name}W`]: width, [`${name}D`]: depth } as {
    readonly [K in `${N}H` | `${N}W` | `${N}D`]: number
  }
}

/** The fields height, width and depth of an array of a kernel's block. */
export function extents<A extends 'X' | 'Y'>(
  array: A,
  [height, width, depth]: Triple,
): { readonly [K in `height${A}` | `width${A}` | `depth${A}`]: number } {
  return { [`height${array}`]: height, [`width${array}`]: width, [`depth${array}`]: depth } as {
    readonly [K in `height${A}` | `width${A}` | `depth${A}`]: number
  }
}
