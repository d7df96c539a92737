import * as v from 'valibot'
import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import { OptionError } from '../errors.js'
import type { BlockOptions } from '../operations/block/block-options.js'
import type { PoolingOptions } from '../operations/pooling/pooling-geometry.js'
import type { Layer } from './layer.js'
import { defineLayer, type LayerKind } from './layer-kind.js'
import { accepts, derived, fixed, type PropertyDefinition } from './property.js'
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
  type WindowSize,
  windowedInput,
} from './windows.js'

// What the layers of maximum and average pooling share: windows, how far apart they lie, and what is added at the edges.

/** Properties that all pooling layers with windows have. */
export interface PoolingLayer extends Layer {
  readonly poolSize: WindowSize
  readonly stride: WindowSize
  /** `[left, right]`, `[top, bottom, left, right]` or two rows of three; empty until known when padding is `'same'`. */
  readonly paddingSize: PaddingSize | undefined
  readonly paddingMode: 'manual' | 'same'
}

/** What tells one kind of pooling from another. */
interface PoolingDefinition<L extends PoolingLayer> {
  /** `'Max'` in `maxPooling2dLayer` and `2-D Max Pooling`. */
  readonly word: 'Max' | 'Average'
  readonly defaultName: string
  readonly property: PropertyDefinition
  /** The first group of the display, and properties behind those of the padding. */
  readonly display: { readonly first: readonly string[]; readonly last: readonly string[] }
  readonly infer: (layer: L, X: ArrayInfo, options: PoolingOptions) => readonly ArrayInfo[]
  readonly compute: (layer: L, X: DlArray, options: PoolingOptions) => DlArray
  readonly block: (layer: L) => Partial<BlockOptions>
}

export function poolingKind<L extends PoolingLayer>(
  rank: Rank,
  { word, defaultName, property, display, infer, compute, block }: PoolingDefinition<L>,
): LayerKind<L> {
  const functionName = `${word.toLowerCase()}Pooling${rank}dLayer`
  const zeros = Array<number>(rank).fill(0)

  const windows = ({ poolSize, stride, paddingMode, paddingSize }: L) => ({
    poolSize,
    stride,
    padding: paddingMode === 'manual' ? edgesOf(paddingSize!) : paddingMode,
  })

  /** What is pooled one after the other: operations do not take the two S of `SSCBT` together with its T. */
  function stages(layer: L, over: string): PoolingOptions[] {
    const all = windows(layer)
    if (over !== 'SST') return [{ ...all, poolFormat: over }]
    const part = (from: number, to: number, poolFormat: string): PoolingOptions => ({
      poolSize: listOf(all.poolSize).slice(from, to),
      stride: listOf(all.stride).slice(from, to),
      padding: typeof all.padding === 'string' ? all.padding : all.padding.map((row) => row.slice(from, to)),
      poolFormat,
    })
    return [part(0, 2, 'SS'), part(2, 3, 'T')]
  }

  return defineLayer<L>({
    functionName,
    className: `${word}Pooling${rank}DLayer`,
    typeName: `${rank}-D ${word} Pooling`,
    defaultName,
    positional: { names: ['poolSize'], required: 1 },
    description: (layer) =>
      `${timesText(layer.poolSize)} ${word.toLowerCase()} pooling with stride ${bracketText(layer.stride)} and ${paddingText(layer.paddingMode, layer.paddingSize)}`,
    properties: [
      fixed('poolSize', perDimension(rank, 'It is the extent of each window in pixels.')),
      fixed(
        'stride',
        perDimension(rank, 'It is the step from window to window in pixels; the default is 1.'),
        rank === 1 ? 1 : Array<number>(rank).fill(1),
      ),
      derived('paddingSize', paddingSizeCheck(rank), paddingSizeOf({ before: zeros, after: zeros })),
      derived('paddingMode', accepts(v.picklist(['manual', 'same']), "'manual' or 'same'", 'Give padding.'), 'manual'),
      property,
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
      { properties: display.first },
      {
        title: 'Hyperparameters',
        properties: ['poolSize', 'stride', 'paddingMode', 'paddingSize', ...display.last],
      },
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
      return [stages(layer, over).reduce((info, options) => infer(layer, info, options)[0]!, X!)]
    },
    block(layer) {
      const { poolSize, stride: poolStride, padding: poolPadding } = windows(layer)
      return { step: 'pooling', rank, options: { ...block(layer), poolSize, poolStride, poolPadding } }
    },
    compute(layer, [X]) {
      const { over } = windowedInput(X!, rank, functionName)
      return [stages(layer, over).reduce((array, options) => compute(layer, array, options), X!)]
    },
  })
}
