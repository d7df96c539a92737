import { OptionError } from '../errors.js'
import { maxpool } from '../operations/pooling/maxpool.js'
import { maxpoolOperation } from '../operations/pooling/pooling.js'
import type { LayerOptions } from './layer.js'
import { type PoolingLayer, poolingKind } from './pooling.js'
import { type Check, fixed, type NameValuePairs, optionError } from './property.js'
import type { Rank, WindowPadding, WindowSize } from './windows.js'

/** Options of the maximum pooling layers. */
export interface MaxPoolingOptions extends LayerOptions {
  /** Pixels from one window to the next; default 1, not the pool size. */
  readonly stride?: WindowSize
  /** Pixels added at the edges, fewer than the pool size; they never win. Default 0. */
  readonly padding?: Exclude<WindowPadding, 'causal'>
  /** Only `false`: outputs for unpooling are not supported yet. */
  readonly hasUnpoolingOutputs?: false
}

interface MaxPoolingLayer extends PoolingLayer {
  readonly hasUnpoolingOutputs: false
}

/** What {@link maxPooling1dLayer} makes. */
export interface MaxPooling1dLayer extends MaxPoolingLayer {
  readonly poolSize: number
  readonly stride: number
}

/** What {@link maxPooling2dLayer} makes. */
export interface MaxPooling2dLayer extends MaxPoolingLayer {
  readonly poolSize: readonly number[]
  readonly stride: readonly number[]
}

/** What {@link maxPooling3dLayer} makes. */
export interface MaxPooling3dLayer extends MaxPoolingLayer {
  readonly poolSize: readonly number[]
  readonly stride: readonly number[]
}

const checkUnpooling: Check = (value, place) => {
  if (value === false) return value
  if (value === true)
    throw new OptionError({
      call: place.call,
      expects: 'hasUnpoolingOutputs false',
      got: 'true',
      remedy: 'Outputs for unpooling are not supported yet; the function maxpoolWithIndices gives them.',
    })
  throw optionError(place, 'false', value, 'Leave it out.')
}

function maxPoolingKind<L extends MaxPoolingLayer>(rank: Rank, defaultName: string) {
  return poolingKind<L>(rank, {
    word: 'Max',
    defaultName,
    property: fixed('hasUnpoolingOutputs', checkUnpooling, false),
    display: { first: ['name', 'hasUnpoolingOutputs', 'numOutputs', 'outputNames'], last: [] },
    infer: (_, X, options) => maxpoolOperation.infer({ X }, { ...options, winners: false }),
    compute: (_, X, { poolSize, ...rest }) => maxpool(X, poolSize, rest),
    block: () => ({ pooling: 'max' }),
  })
}

const kind1d = maxPoolingKind<MaxPooling1dLayer>(1, 'maxpool1d')
const kind2d = maxPoolingKind<MaxPooling2dLayer>(2, 'maxpool')
const kind3d = maxPoolingKind<MaxPooling3dLayer>(3, 'maxpool3d')

/**
 * Layer that takes the largest element of each window of `poolSize` pixels, over the S of `SCB` or the T of `CBT`. The extent
 * becomes floor((extent + padding - poolSize) / stride) + 1; mind that the default `stride` is 1.
 *
 * Options as one object or as name-value pairs. Errors: an {@link OptionError} for options outside what is accepted, among them
 * padding as large as the pool size. Source: MATLAB, `maxPooling1dLayer`.
 */
export function maxPooling1dLayer(poolSize: WindowSize, options?: MaxPoolingOptions): MaxPooling1dLayer
export function maxPooling1dLayer(poolSize: WindowSize, ...pairs: NameValuePairs): MaxPooling1dLayer
export function maxPooling1dLayer(...given: unknown[]): MaxPooling1dLayer {
  return kind1d.create(given)
}

/**
 * Layer that takes the largest element of each window of `poolSize` pixels (one number, or [height, width]), over the S of `SSCB`
 * and `SSCBT`, S and T of `SCBT`; otherwise as {@link maxPooling1dLayer}. Source: MATLAB, `maxPooling2dLayer`.
 */
export function maxPooling2dLayer(poolSize: WindowSize, options?: MaxPoolingOptions): MaxPooling2dLayer
export function maxPooling2dLayer(poolSize: WindowSize, ...pairs: NameValuePairs): MaxPooling2dLayer
export function maxPooling2dLayer(...given: unknown[]): MaxPooling2dLayer {
  return kind2d.create(given)
}

/**
 * Layer that takes the largest element of each window of `poolSize` pixels (one number, or [height, width, depth]), over the S of
 * `SSSCB`, S and T of `SSCBT`; otherwise as {@link maxPooling1dLayer}. Source: MATLAB, `maxPooling3dLayer`.
 */
export function maxPooling3dLayer(poolSize: WindowSize, options?: MaxPoolingOptions): MaxPooling3dLayer
export function maxPooling3dLayer(poolSize: WindowSize, ...pairs: NameValuePairs): MaxPooling3dLayer
export function maxPooling3dLayer(...given: unknown[]): MaxPooling3dLayer {
  return kind3d.create(given)
}

export const maxPoolingKinds = [kind1d, kind2d, kind3d]
