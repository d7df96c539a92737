import * as v from 'valibot'
import { OptionError } from '../errors.js'
import { maxpool } from '../operations/maxpool.js'
import { maxpoolOperation } from '../operations/pooling.js'
import { defineLayer, type Layer, type LayerOptions } from './layer.js'
import { accepts, type Check, derived, fixed, type NameValuePairs, optionError } from './property.js'
import {
  bracketText,
  edgesOf,
  listOf,
  type PaddingSize,
  paddingSizeCheck,
  paddingSizeOf,
  paddingText,
  perDimension,
  type Rank,
  readPadding,
  resolvedSamePadding,
  timesText,
  type WindowPadding,
  type WindowSize,
  windowedInput,
} from './windows.js'

export interface MaxPoolingOptions extends LayerOptions {
  /** Pixels from one window to the next; default 1, not the pool size. */
  readonly stride?: WindowSize
  /** Pixels added at the edges, fewer than the pool size; they never win. Default 0. */
  readonly padding?: Exclude<WindowPadding, 'causal'>
  /** Only `false`: outputs for unpooling are not supported yet. */
  readonly hasUnpoolingOutputs?: false
}

interface MaxPoolingLayer extends Layer {
  readonly poolSize: WindowSize
  readonly stride: WindowSize
  /** `[left, right]`, `[top, bottom, left, right]` or two rows of three; empty until known when padding is `'same'`. */
  readonly paddingSize: PaddingSize | undefined
  readonly paddingMode: 'manual' | 'same'
  readonly hasUnpoolingOutputs: false
}

export interface MaxPooling1dLayer extends MaxPoolingLayer {
  readonly poolSize: number
  readonly stride: number
}
export interface MaxPooling2dLayer extends MaxPoolingLayer {
  readonly poolSize: readonly number[]
  readonly stride: readonly number[]
}
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
  const functionName = `maxPooling${rank}dLayer`
  const zeros = Array<number>(rank).fill(0)

  const options = (layer: L, over: string) => ({
    poolSize: layer.poolSize,
    stride: layer.stride,
    padding: layer.paddingMode === 'manual' ? edgesOf(layer.paddingSize!) : layer.paddingMode,
    poolFormat: over,
  })

  return defineLayer<L>({
    functionName,
    className: `MaxPooling${rank}DLayer`,
    typeName: `${rank}-D Max Pooling`,
    defaultName,
    positional: { names: ['poolSize'], required: 1 },
    description: (layer) =>
      `${timesText(layer.poolSize)} max pooling with stride ${bracketText(layer.stride)} and ${paddingText(layer.paddingMode, layer.paddingSize)}`,
    properties: [
      fixed('poolSize', perDimension(rank, 'It is the extent of each window in pixels.')),
      fixed(
        'stride',
        perDimension(rank, 'It is the step from window to window in pixels; the default is 1.'),
        rank === 1 ? 1 : Array<number>(rank).fill(1),
      ),
      derived('paddingSize', paddingSizeCheck(rank), paddingSizeOf({ before: zeros, after: zeros })),
      derived('paddingMode', accepts(v.picklist(['manual', 'same']), "'manual' or 'same'", 'Give padding.'), 'manual'),
      fixed('hasUnpoolingOutputs', checkUnpooling, false),
    ],
    arguments: [
      {
        name: 'padding',
        apply(value, _, place) {
          const { mode, edges } = readPadding(value, rank, place, false)
          return { paddingMode: mode, paddingSize: edges && paddingSizeOf(edges) }
        },
      },
    ],
    display: () => [
      { properties: ['name', 'hasUnpoolingOutputs', 'numOutputs', 'outputNames'] },
      { title: 'Hyperparameters', properties: ['poolSize', 'stride', 'paddingMode', 'paddingSize'] },
    ],
    check(layer, call) {
      const { paddingMode, paddingSize } = layer
      if (paddingMode === 'same') return
      const pool = listOf(layer.poolSize)
      const edges = paddingSize ? edgesOf(paddingSize) : [[], []]
      if (!edges.every((row) => row.length === rank && row.every((extent, d) => extent < pool[d]!)))
        throw new OptionError({
          call,
          expects: `padding smaller than the pool size (${timesText(pool)}) in each dimension`,
          got: paddingSize ? bracketText(paddingSize) : 'none',
          remedy: 'Give less padding: a window of nothing but padding has no value.',
        })
    },
    resolve: (layer, [X]) =>
      layer.paddingMode === 'same'
        ? { paddingSize: resolvedSamePadding(X!, rank, listOf(layer.poolSize), listOf(layer.stride), functionName) }
        : {},
    output(layer, [X]) {
      const { over } = windowedInput(X!, rank, functionName)
      return maxpoolOperation.infer({ X: X! }, { ...options(layer, over), winners: false })
    },
    block(layer) {
      const { poolSize, stride: poolStride, padding: poolPadding } = options(layer, '')
      return { step: 'pooling', rank, options: { pooling: 'max', poolSize, poolStride, poolPadding } }
    },
    compute(layer, [X]) {
      const { over } = windowedInput(X!, rank, functionName)
      const { poolSize, ...rest } = options(layer, over)
      return [maxpool(X!, poolSize, rest)]
    },
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
