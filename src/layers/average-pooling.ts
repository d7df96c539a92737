import * as v from 'valibot'
import { avgpool } from '../operations/pooling/maxpool.js'
import { avgpoolOperation } from '../operations/pooling/pooling.js'
import type { LayerOptions } from './layer.js'
import { type PoolingLayer, poolingKind } from './pooling.js'
import { accepts, fixed, type NameValuePairs } from './property.js'
import type { Rank, WindowPadding, WindowSize } from './windows.js'

/** Options of the average pooling layers. */
export interface AveragePoolingOptions extends LayerOptions {
  /** Pixels from one window to the next; default 1, not the pool size. */
  readonly stride?: WindowSize
  /** Pixels added at the edges, fewer than the pool size. Default 0. */
  readonly padding?: Exclude<WindowPadding, 'causal'>
  /** 0 (default): padding counts as zeros. `'mean'`: it does not count, the divisor is the number of pixels of the input. */
  readonly paddingValue?: 0 | 'mean'
}

interface AveragePoolingLayer extends PoolingLayer {
  readonly paddingValue: 0 | 'mean'
}

/** What {@link averagePooling1dLayer} makes. */
export interface AveragePooling1dLayer extends AveragePoolingLayer {
  readonly poolSize: number
  readonly stride: number
}

/** What {@link averagePooling2dLayer} makes. */
export interface AveragePooling2dLayer extends AveragePoolingLayer {
  readonly poolSize: readonly number[]
  readonly stride: readonly number[]
}

/** What {@link averagePooling3dLayer} makes. */
export interface AveragePooling3dLayer extends AveragePoolingLayer {
  readonly poolSize: readonly number[]
  readonly stride: readonly number[]
}

function averagePoolingKind<L extends AveragePoolingLayer>(rank: Rank, defaultName: string) {
  return poolingKind<L>(rank, {
    word: 'Average',
    defaultName,
    property: fixed(
      'paddingValue',
      accepts(v.picklist([0, 'mean']), "0 or 'mean'", "With 'mean' padding does not count in the average."),
      0,
    ),
    display: { first: ['name'], last: ['paddingValue'] },
    infer: ({ paddingValue }, X, options) => avgpoolOperation.infer({ X }, { ...options, paddingValue }),
    compute: ({ paddingValue }, X, { poolSize, ...rest }) => avgpool(X, poolSize, { ...rest, paddingValue }),
    block: ({ paddingValue }) => ({ pooling: 'average', paddingValue }),
  })
}

const kind1d = averagePoolingKind<AveragePooling1dLayer>(1, 'avgpool1d')
const kind2d = averagePoolingKind<AveragePooling2dLayer>(2, 'avgpool')
const kind3d = averagePoolingKind<AveragePooling3dLayer>(3, 'avgpool3d')

/**
 * Layer that takes the average of each window of `poolSize` pixels, over the S of `SCB` or the T of `CBT`. The extent becomes
 * floor((extent + padding - poolSize) / stride) + 1; mind that the default `stride` is 1.
 *
 * Options as one object or as name-value pairs. Errors: an {@link OptionError} for options outside what is accepted, among them
 * padding as large as the pool size. Source: MATLAB, `averagePooling1dLayer`.
 */
export function averagePooling1dLayer(poolSize: WindowSize, options?: AveragePoolingOptions): AveragePooling1dLayer
export function averagePooling1dLayer(poolSize: WindowSize, ...pairs: NameValuePairs): AveragePooling1dLayer
export function averagePooling1dLayer(...given: unknown[]): AveragePooling1dLayer {
  return kind1d.create(given)
}

/**
 * Layer that takes the average of each window of `poolSize` pixels (one number, or [height, width]), over the S of `SSCB` and
 * `SSCBT`, S and T of `SCBT`; otherwise as {@link averagePooling1dLayer}. Source: MATLAB, `averagePooling2dLayer`.
 */
export function averagePooling2dLayer(poolSize: WindowSize, options?: AveragePoolingOptions): AveragePooling2dLayer
export function averagePooling2dLayer(poolSize: WindowSize, ...pairs: NameValuePairs): AveragePooling2dLayer
export function averagePooling2dLayer(...given: unknown[]): AveragePooling2dLayer {
  return kind2d.create(given)
}

/**
 * Layer that takes the average of each window of `poolSize` pixels (one number, or [height, width, depth]), over the S of
 * `SSSCB`, S and T of `SSCBT`; otherwise as {@link averagePooling1dLayer}. Source: MATLAB, `averagePooling3dLayer`.
 */
export function averagePooling3dLayer(poolSize: WindowSize, options?: AveragePoolingOptions): AveragePooling3dLayer
export function averagePooling3dLayer(poolSize: WindowSize, ...pairs: NameValuePairs): AveragePooling3dLayer
export function averagePooling3dLayer(...given: unknown[]): AveragePooling3dLayer {
  return kind3d.create(given)
}

export const averagePoolingKinds = [kind1d, kind2d, kind3d]
