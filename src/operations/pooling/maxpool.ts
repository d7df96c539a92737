import { checkArray, type DlArray } from '../../array/dlarray.js'
import { strides } from '../../array/format.js'
import { tapeOf } from '../../autodiff/record.js'
import { checkOptionNames } from '../../errors.js'
import { dlarray } from '../arrays/dlarray.js'
import { label } from '../arrays/relabel.js'
import { call, type DataFormatOption } from '../call.js'
import type { PerDimension } from '../convolution/convolution-geometry.js'
import { meanOperation } from '../reductions/mean.js'
import { avgpoolOperation, maxpoolOperation } from './pooling.js'
import { type PoolingOptions, pooledDimensions, poolingGeometry, windowsOf } from './pooling-geometry.js'

/** Options of `maxpool` and `avgpool`. */
export interface PoolOptions extends DataFormatOption {
  /** Elements from one window to the next: one number, or one per dimension. Default 1. */
  readonly stride?: PoolingOptions['stride']
  /**
   * Elements added at the edges, fewer than the pool size: one number; one per dimension; `[[top, left], [bottom, right]]`;
   * or `'same'`, output extent = ceil(input extent / stride), an odd element at the end. Default 0.
   */
  readonly padding?: PoolingOptions['padding']
  /** The dimensions pooled: `'SS'`, `'T'`, `'ST'`, ... Default: all S, or T where there is no S. */
  readonly poolFormat?: string
}

const poolOptions = ['stride', 'padding', 'poolFormat', 'dataFormat']

/** Windows of this size, or one over the whole of each channel. */
export type PoolSize = PerDimension | 'global'

/**
 * The largest element of each window, for every channel and observation separately; the pooled dimensions shrink to
 * floor((extent + padding - pool size) / stride) + 1 and the format is kept. Padding never wins; of equal elements the first
 * in memory gets the gradient; NaN in a window gives NaN.
 *
 * Errors: a {@link DimensionError} for windows that do not fit, an {@link OptionError} for options that are none. Source:
 * MATLAB, `maxpool`.
 */
export function maxpool<F extends string>(X: DlArray<F>, poolSize: PoolSize, options: PoolOptions = {}): DlArray<F> {
  checkOptionNames('maxpool', options, poolOptions)
  // which elements won matters to the gradient only
  return call(maxpoolOperation, { X }, { ...options, poolSize, winners: tapeOf([X]) !== undefined }) as DlArray<F>
}

/** The results of {@link maxpoolWithIndices}. */
export interface PooledWithIndices {
  readonly Y: DlArray
  /** For each element of Y the index of its winner in X, counted from 1 in stored order. */
  readonly indices: DlArray
  readonly inputSize: readonly number[]
}

/**
 * Maximum pooling, with the index of each window's winner: `[Y, indx, inputSize] = maxpool(...)`. Indices are doubles, not
 * differentiated.
 *
 * `X` needs a format, or `dataFormat`; Y and the indices then have the format of the labelled X. Source: MATLAB, `maxpool`.
 */
export function maxpoolWithIndices(X: DlArray, poolSize: PoolSize, options: PoolOptions = {}): PooledWithIndices {
  checkArray(X, 'maxpool')
  checkOptionNames('maxpool', options, poolOptions)
  const { dataFormat, ...rest } = options
  const image = dataFormat === undefined ? X : label(X, dataFormat, 'maxpool')
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
  const settings = { ...maxpoolOperation.options, ...given, poolSize, winners: true }
  const { Y, offsets } = maxpoolOperation.runAll({ X: image }, settings)
  const info = { size: image.size, dims: image.dims, type: image.underlyingType }
  const { geometry } = poolingGeometry(info, settings, false, 'maxpool')
  const windows = windowsOf(geometry)
  const elements = strides(geometry.image)[2]! * geometry.image[2]
  const places = offsets.values()
  const indices = Float64Array.from(places, (place, i) => {
    const window = windows[i % windows.length]!
    return Math.floor(i / windows.length) * elements + window.elements[window.places.indexOf(place)]! + 1
  })
  return {
    Y,
    indices: dlarray(indices, Y.size, Y.dims as string, { type: 'double' }),
    inputSize: image.size,
  }
}

/** Options of `avgpool`. */
export interface AvgPoolOptions extends PoolOptions {
  /** 0 (default): padding counts as zeros. `'mean'`: it does not count, the divisor is the number of elements of X. */
  readonly paddingValue?: 0 | 'mean'
}

/**
 * The average of each window, for every channel and observation separately; sizes as in {@link maxpool}, the format is kept.
 *
 * Errors: a {@link DimensionError} for windows that do not fit, an {@link OptionError} for options that are none. Source:
 * MATLAB, `avgpool`.
 */
export function avgpool<F extends string>(X: DlArray<F>, poolSize: PoolSize, options: AvgPoolOptions = {}): DlArray<F> {
  checkArray(X, 'avgpool')
  checkOptionNames('avgpool', options, [...poolOptions, 'paddingValue'])
  if (poolSize === 'global' && options.dataFormat === undefined) {
    const info = { size: X.size, dims: X.dims as string, type: X.underlyingType }
    // a mean is faster than one window over everything; the options are checked all the same
    const { dataFormat: _, ...rest } = options
    avgpoolOperation.infer({ X: info }, { ...rest, poolSize })
    const over = pooledDimensions(info, options.poolFormat ?? '', 'avgpool').map((d) => d + 1)
    return meanOperation.run({ X }, { over }) as DlArray<F>
  }
  return call(avgpoolOperation, { X }, { ...options, poolSize }) as DlArray<F>
}
