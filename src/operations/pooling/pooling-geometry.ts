import type { ArrayInfo } from '../../array/dlarray.js'
import { describe, numel, positionsOf } from '../../array/format.js'
import { asText, DimensionError, OptionError } from '../../errors.js'
import {
  type PerDimension,
  positive,
  resolvePadding,
  type Triple,
  triple,
} from '../convolution/convolution-geometry.js'

/**
 * Windows over an array seen as [height, width, depth, planes], column-major. Dimensions that are not pooled but lie in
 * front of pooled ones take part with windows of one element.
 */
export interface PoolingGeometry {
  readonly image: Triple
  readonly output: Triple
  readonly pool: Triple
  readonly stride: Triple
  readonly before: Triple
  readonly planes: number
  /** Average pooling: divide by the elements inside the array, not by the window's size. */
  readonly excludePadding: boolean
}

/** What the windows of a pooling are, before sizes are known. */
export interface PoolingOptions {
  /** Window size, or `'global'` for the whole extent of every pooled dimension. */
  readonly poolSize: PerDimension | 'global'
  /** Elements from one window to the next. */
  readonly stride: PerDimension
  /** As in `dlconv`, without `'causal'`. */
  readonly padding: number | readonly number[] | readonly (readonly number[])[] | 'same'
  /** Labels of the pooled dimensions in the order of sizes; `''` for all S, or T where there is no S. */
  readonly poolFormat: string
}

export const defaultPooling: PoolingOptions = { poolSize: 1, stride: 1, padding: 0, poolFormat: '' }

/** Zero-based dimensions that are pooled. */
export function pooledDimensions(X: ArrayInfo, poolFormat: string, call: string): number[] {
  const spatial = positionsOf(X.dims, 'S')
  const time = positionsOf(X.dims, 'T')
  const fits =
    poolFormat === '' || poolFormat === 'S'.repeat(spatial.length) || poolFormat === `${'S'.repeat(spatial.length)}T`
  const pooled =
    poolFormat === ''
      ? spatial.length > 0
        ? spatial
        : time
      : poolFormat.endsWith('T')
        ? [...spatial, ...time]
        : spatial
  const timeOnly = poolFormat === 'T' && time.length > 0
  if (timeOnly) return time
  if (!fits || (poolFormat.includes('T') && time.length === 0))
    throw new OptionError({
      call,
      expects: "poolFormat with every S of X, a T, or both in this order, as in 'SS', 'T' or 'ST'",
      got: `'${poolFormat}' for ${describe(X)}`,
      remedy: 'Leave poolFormat out to pool over all S.',
    })
  if (pooled.length === 0 || pooled.length > 3)
    throw new DimensionError({
      call,
      expects: 'an array with one to three dimensions to pool over (S, or T)',
      got: describe(X),
      remedy: X.dims === '' ? 'Label it with dlarray(X, format) or give dataFormat.' : 'Label these dimensions S.',
    })
  return pooled
}

/** The windows of a pooling of X; throws for windows that do not fit. */
export function poolingGeometry(
  X: ArrayInfo,
  { poolSize, stride, padding, poolFormat }: PoolingOptions,
  excludePadding: boolean,
  call: string,
): { readonly geometry: PoolingGeometry; readonly size: readonly number[] } {
  const pooled = pooledDimensions(X, poolFormat, call)
  const rank = pooled.length
  const extents = pooled.map((d) => X.size[d]!)
  if ((padding as unknown) === 'causal')
    throw new OptionError({
      call,
      expects: "for padding numbers or 'same'",
      got: "'causal'",
      remedy: 'Give [[begin], [end]] to pad one end only.',
    })
  if (poolSize === 'global' && (stride !== 1 || padding !== 0))
    throw new OptionError({
      call,
      expects: "no stride and no padding with the pool size 'global'",
      got: `stride ${asText(stride)} and padding ${asText(padding)}`,
      remedy: 'One window covers everything: leave them out.',
    })
  const pool = poolSize === 'global' ? extents : positive(poolSize, rank, 'the pool size', call)
  const step = poolSize === 'global' ? extents.map(() => 1) : positive(stride, rank, 'stride', call)
  const edges =
    poolSize === 'global'
      ? { before: extents.map(() => 0), after: extents.map(() => 0) }
      : resolvePadding(padding, extents, pool, step, call)
  const wide = pool.findIndex((reach, d) => edges.before[d]! >= reach || edges.after[d]! >= reach)
  if (wide >= 0)
    throw new OptionError({
      call,
      expects: 'padding smaller than the pool size in each dimension',
      got: `padding ${edges.before[wide]} and ${edges.after[wide]} with a pool size of ${pool[wide]}`,
      remedy: 'Give less padding: a window of nothing but padding has no value.',
    })
  const size = [...X.size]
  pooled.forEach((d, i) => {
    const room = extents[i]! + edges.before[i]! + edges.after[i]! - pool[i]!
    if (room < 0 || pool[i]! < 1)
      throw new DimensionError({
        call,
        expects: 'windows that are not larger than the padded array',
        got: `windows of ${pool.join('×')} for ${describe(X)} padded by ${edges.before.join(', ')} before and ${edges.after.join(', ')} after`,
        remedy: "Use a smaller pool size, more padding, or 'global'.",
      })
    size[d] = Math.floor(room / step[i]!) + 1
  })
  return {
    size,
    geometry: { ...layOut(X, pooled, { size, pool, step, before: edges.before }, call), excludePadding },
  }
}

interface Windows {
  readonly size: readonly number[]
  readonly pool: readonly number[]
  readonly step: readonly number[]
  readonly before: readonly number[]
}

/** Pooled dimensions, and in between what is not pooled, as up to three dimensions and planes. */
function layOut(
  X: ArrayInfo,
  pooled: readonly number[],
  { size, pool, step, before }: Windows,
  call: string,
): Omit<PoolingGeometry, 'excludePadding'> {
  const image: number[] = []
  const output: number[] = []
  const windows: number[] = []
  const strides: number[] = []
  const edges: number[] = []
  const add = (extent: number, result: number, window: number, stride: number, edge: number) => {
    image.push(extent)
    output.push(result)
    windows.push(window)
    strides.push(stride)
    edges.push(edge)
  }
  let next = 0
  pooled.forEach((d, i) => {
    const skipped = numel(X.size.slice(next, d))
    if (skipped !== 1) add(skipped, skipped, 1, 1, 0)
    add(X.size[d]!, size[d]!, pool[i]!, step[i]!, before[i]!)
    next = d + 1
  })
  if (image.length > 3)
    throw new DimensionError({
      call,
      expects: 'the pooled dimensions next to each other, or two of them with one gap',
      got: `${describe(X)} pooled over dimensions ${pooled.map((d) => d + 1).join(', ')}`,
      remedy: 'Pool over S and over T one after the other.',
    })
  return {
    image: triple(image, 1),
    output: triple(output, 1),
    pool: triple(windows, 1),
    stride: triple(strides, 1),
    before: triple(edges, 0),
    planes: numel(X.size.slice(next)),
  }
}

/** One window: which elements of a plane it holds, and where. */
export interface Window {
  /** Number of the window in its plane, in memory order. */
  readonly index: number
  /** Indices in the plane, in memory order, of the elements that are not padding. */
  readonly elements: readonly number[]
  /** For each of them its place in the window, counted with the padding. */
  readonly places: readonly number[]
}

/** Every window of a plane, in memory order. For the reference kernels. */
export function windowsOf({ image, output, pool, stride, before }: PoolingGeometry): Window[] {
  const windows: Window[] = []
  for (let od = 0; od < output[2]; od++)
    for (let ow = 0; ow < output[1]; ow++)
      for (let oh = 0; oh < output[0]; oh++) {
        const elements: number[] = []
        const places: number[] = []
        for (let k = 0; k < pool[2]; k++)
          for (let j = 0; j < pool[1]; j++)
            for (let i = 0; i < pool[0]; i++) {
              const h = oh * stride[0] - before[0] + i
              const w = ow * stride[1] - before[1] + j
              const d = od * stride[2] - before[2] + k
              const inside = h >= 0 && h < image[0] && w >= 0 && w < image[1] && d >= 0 && d < image[2]
              if (!inside) continue
              elements.push(h + image[0] * (w + image[1] * d))
              places.push(i + pool[0] * (j + pool[1] * k))
            }
        windows.push({ index: windows.length, elements, places })
      }
  return windows
}
