import type { ArrayInfo, DlArray } from '../../array/dlarray.js'
import type { Elements } from '../../array/storage.js'
import { type GradientContext, operation, type Sample } from '../operation.js'
import {
  type BlockGradients,
  composedGradients,
  type Described,
  referenceBlock,
  referenceBlockGradient,
  separateGradients,
} from './block-composed.js'
import { launchBlock, launchBlockGradient } from './block-launch.js'
import { type BlockInputs, type BlockOptions, type BlockPlan, blockPlan, defaultBlock } from './block-options.js'

// Convolution, normalization, activation and pooling as one operation, forward and backward: a plane stays in the
// cache from the first to the last. Networks use it in place of several layers.

type Input = keyof BlockInputs<unknown>
type Optional = Exclude<Input, 'X'>
type Output = 'Y' | 'Z' | 'statistics' | 'batchMu' | 'batchSigmaSq'

const NONE: readonly number[] = [0, 1]

/**
 * Y = pooling(activation(normalization(dlconv(X, weights, bias), offset, scale))), without the steps that are not there; and
 * mean and variance of each channel where a batch is normalized by its own.
 */
export const blockOperation = operation({
  name: 'block',
  inputs: ['X', 'weights', 'bias', 'offset', 'scale', 'mu', 'sigmaSq'],
  optional: ['weights', 'bias', 'offset', 'scale', 'mu', 'sigmaSq'],
  outputs: ['Y', 'Z', 'statistics', 'batchMu', 'batchSigmaSq'],
  options: defaultBlock,
  rule(inputs, options) {
    const plan = blockPlan(inputs, options, 'block')
    const { Z, Y, channels, observations, normalization, groupChannels } = plan
    const { type } = Z
    const none = { size: NONE, dims: '', type }
    const groups = normalization === 'within' ? (channels * observations) / groupChannels : channels
    const perChannel = normalization === 'across' ? { size: [channels, 1], dims: '', type } : none
    return {
      outputs: [
        Y,
        plan.convolution && options.keep ? Z : none,
        normalization === 'none' || normalization === 'given' ? none : { size: [3, groups], dims: '', type },
        perChannel,
        perChannel,
      ],
      plan: { ...plan, inputs, options },
    }
  },
  saves: ['X', 'weights', 'bias', 'offset', 'scale', 'mu', 'sigmaSq', 'Z', 'statistics'],
  gradient: {
    X: (context) => gradients(context).X!,
    weights: (context) => gradients(context).weights!,
    bias: (context) => gradients(context).bias!,
    offset: (context) => gradients(context).offset!,
    scale: (context) => gradients(context).scale!,
    mu: (context) => gradients(context).mu!,
    sigmaSq: (context) => gradients(context).sigmaSq!,
  },
  kernels: {
    reference({ inputs, outputs, plan }) {
      referenceBlock(described(inputs, plan.inputs), plan.options, (results) => {
        for (const [name, array] of Object.entries(results)) {
          const to = outputs[name as Output]
          if (array && to.length > 0) to.set(array.storage.view())
        }
      })
    },
    wasm({ inputs, outputs, plan, wasm }) {
      launchBlock(wasm, plan, { ...inputs, ...outputs })
    },
  },
  samples: () => [
    ...tails().map(({ size, format, options }) => sample(size, format, options, { isNormalized: true })),
    ...tails()
      .slice(2, 6)
      .map(({ size, format, options }) => sample(size, format, { activation: 'relu', ...options })),
    sample([7, 6, 2, 1], 'SSCB', { activation: 'relu', pooling: 'max', poolSize: 2, poolStride: 2 }, convolved(3)),
    sample(
      [9, 7, 2, 1],
      'SSCB',
      { stride: [2, 1], padding: 1, pooling: 'average', poolSize: 2, activation: 'leakyrelu' },
      { ...convolved(4), isNormalized: true },
    ),
    sample([6, 4, 2, 2], 'SSCB', { padding: 'same' }, { ...convolved(2), isNormalized: true }),
    sample([6, 4, 2, 2], 'SSCB', { activation: 'relu', keep: false }, { ...convolved(2), isNormalized: true }),
    sample([6, 4, 2, 2], 'SSCB', { pooling: 'max', poolSize: 2, keep: false }, { ...convolved(2), isNormalized: true }),
    sample(
      [12, 3, 2],
      'SCB',
      { activation: 'relu', pooling: 'max', poolSize: 3 },
      {
        weights: [3, 3, 2],
        isNormalized: true,
      },
    ),
    sample([4, 3, 3, 2], 'SSSC', { pooling: 'average', poolSize: 2 }, { weights: [2, 2, 2, 2, 2], isNormalized: true }),
    ...(['all-channels', 2, 'batch', 'given'] as const).flatMap((numGroups) => groupedSamples(numGroups)),
    // as large as one second derivative is tested with
    sample(
      [3, 3, 1, 1],
      'SSCB',
      { activation: 'relu', pooling: 'max', poolSize: 2 },
      { ...convolved(1, 1), isNormalized: true },
    ),
  ],
})

/** Normalization of several planes together, with every kind of what may be before and behind it. */
function groupedSamples(numGroups: BlockOptions['numGroups']): Sample<Input, BlockOptions>[] {
  const two = { poolSize: 2, poolStride: 2 }
  const normalized = { isNormalized: true }
  const small = { isNormalized: true, weights: [2, 1, 1, 2] }
  return [
    sample([5, 3, 4, 2], 'SSCB', { numGroups, epsilon: 0.1 }, normalized),
    sample([3, 2, 2, 0], 'SSCB', { numGroups, activation: 'relu' }, normalized),
    sample([5, 2, 4, 3], 'SSCB', { numGroups, activation: 'leakyrelu', leak: 0.2 }, normalized),
    sample([10, 4, 2, 2], 'SSCB', { numGroups, activation: 'relu', pooling: 'max', ...two }, normalized),
    sample([7, 5, 2, 2], 'SSCB', { numGroups, pooling: 'max', poolSize: 3, poolStride: 2, poolPadding: 1 }, normalized),
    sample([6, 6, 4], 'SSC', { numGroups, activation: 'relu', pooling: 'average', poolSize: 3 }, normalized),
    sample([9, 2, 3], 'SCB', { numGroups, pooling: 'average', poolSize: 'global' }, normalized),
    sample([4, 4, 2, 2, 2], 'SSSCB', { numGroups, activation: 'relu', pooling: 'max', ...two }, normalized),
    sample(
      [7, 6, 2, 2],
      'SSCB',
      { numGroups, padding: 'same', activation: 'relu', pooling: 'max', ...two },
      { ...convolved(4), ...normalized },
    ),
    sample(
      [4, 3, 1, 8],
      'SSCB',
      { numGroups, padding: 'same', pooling: 'average', poolSize: 2, keep: false },
      { ...convolved(4, 1), ...normalized },
    ),
    sample([3, 2, 1, 2], 'SSCB', { numGroups, activation: 'leakyrelu' }, small),
  ]
}

/** Sizes and options of what may follow a convolution. */
function tails(): { size: readonly number[]; format: string; options: Partial<BlockOptions> }[] {
  const two = { poolSize: 2, poolStride: 2 }
  return [
    { size: [8, 2, 3, 2], format: 'SSCB', options: { pooling: 'max', ...two } },
    { size: [11, 5, 2, 1], format: 'SSCB', options: { pooling: 'max', ...two, activation: 'leakyrelu', leak: 0.2 } },
    { size: [7, 5, 2, 1], format: 'SSCB', options: { pooling: 'max', poolSize: 3, poolStride: 2, poolPadding: 1 } },
    { size: [6, 6, 2, 2], format: 'SSCB', options: { pooling: 'average', ...two } },
    {
      size: [5, 4, 3],
      format: 'SSC',
      options: { pooling: 'average', poolSize: 3, poolPadding: 'same', paddingValue: 'mean' },
    },
    { size: [9, 2, 3], format: 'SCB', options: { pooling: 'max', poolSize: 2 } },
    { size: [5, 3, 4, 2], format: 'SSCB', options: { activation: 'relu' } },
    { size: [5, 3, 4, 2], format: 'SSCB', options: { activation: 'leakyrelu', epsilon: 0.1 } },
    { size: [16, 4, 2, 1], format: 'SSCB', options: { activation: 'relu', pooling: 'max', ...two } },
    {
      size: [4, 4, 2, 2, 2],
      format: 'SSSCB',
      options: { activation: 'relu', pooling: 'max', poolSize: 2, poolStride: 2 },
    },
    { size: [4, 4, 2, 2], format: 'SSCB', options: { activation: 'relu', pooling: 'average', poolSize: 'global' } },
    { size: [4, 4, 2, 0], format: 'SSCB', options: { activation: 'relu', pooling: 'max', poolSize: 2 } },
  ]
}

function convolved(filters: number, channels = 2) {
  return { weights: [2, 2, channels, filters] }
}

function sample(
  size: readonly number[],
  format: string,
  options: Partial<BlockOptions>,
  { weights, isNormalized = false }: { weights?: readonly number[]; isNormalized?: boolean } = {},
): Sample<Input, BlockOptions> {
  const channels = weights ? weights.at(-1)! : size[format.indexOf('C')]!
  const perChannel = { size: [channels], format: 'C' }
  const { numGroups, activation } = options
  const hasStatistics = numGroups === 'given' || (numGroups === 'batch' && activation === 'relu')
  return {
    inputs: {
      X: { size, format },
      ...(weights && { weights: { size: weights }, bias: { size: [channels, 1] } }),
      // of both signs: maximum pooling of what falls with x
      ...(isNormalized && {
        offset: perChannel,
        scale: { ...perChannel, values: (i: number) => (i % 2 ? -0.8 : 1.3) },
      }),
      ...(hasStatistics && {
        mu: { size: [channels, 1] },
        sigmaSq: { ...perChannel, values: (i: number) => 0.3 + i },
      }),
    },
    options,
  }
}

function described(
  elements: { readonly [K in Input]?: Elements },
  infos: { readonly [K in Input]?: ArrayInfo },
): BlockInputs<Described> {
  const names = ['X', 'weights', 'bias', 'offset', 'scale', 'mu', 'sigmaSq'] as const
  return Object.fromEntries(
    names.flatMap((name) => (infos[name] ? [[name, { values: elements[name]!, info: infos[name] }]] : [])),
  ) as unknown as BlockInputs<Described>
}

type Context = GradientContext<Input, Optional, Output, BlockOptions, BlockPlan, Input | 'Z' | 'statistics'>

/**
 * All gradients asked for: in one pass; or through the steps when they will be differentiated again, and where mean and
 * variance are among what is asked for or derived.
 */
function gradients(context: Context): BlockGradients {
  const { gradient, gradients, saved, options, wanted, recording, shared } = context
  return shared(() => {
    const { Z, statistics, ...inputs } = saved
    const { batchMu, batchSigmaSq } = gradients
    const statisticsMatter = wanted.mu || wanted.sigmaSq || batchMu || batchSigmaSq
    const flowing = { Y: gradient, batchMu, batchSigmaSq }
    if (recording) return composedGradients(present(inputs), flowing, options)
    if (statisticsMatter) return separateGradients(present(inputs), flowing, options)
    const kept = options.keep ? { Z, statistics } : blockOperation.runAll(present(inputs), { ...options, keep: true })
    const results = blockGradientOperation.runAll(
      { ...present(inputs), dY: gradient, Z: kept.Z, statistics: kept.statistics },
      { ...options, wanted, plan: context.plan },
    )
    const { dX: X, dWeights: weights, dBias: bias, dOffset: offset, dScale: scale } = results
    return { X, weights, bias, offset, scale }
  })
}

function present<T extends object>(inputs: T): T {
  return Object.fromEntries(Object.entries(inputs).filter(([, array]) => array !== undefined)) as T
}

interface BlockGradientOptions extends BlockOptions {
  /** What the forward pass found out about the same block. */
  readonly plan: BlockPlan | undefined
  /** The gradients to compute; the others are empty. */
  readonly wanted: { readonly [K in Input]: boolean }
}

const all = { X: true, weights: true, bias: true, offset: true, scale: true, mu: false, sigmaSq: false }

/** The gradients of a block in one pass over each plane. Not differentiable itself: see {@link composedGradients}. */
export const blockGradientOperation = operation({
  name: 'blockGradient',
  inputs: ['X', 'weights', 'bias', 'offset', 'scale', 'mu', 'sigmaSq', 'dY', 'Z', 'statistics'],
  optional: ['weights', 'bias', 'offset', 'scale', 'mu', 'sigmaSq'],
  outputs: ['dX', 'dWeights', 'dBias', 'dOffset', 'dScale'],
  options: { ...defaultBlock, wanted: all, plan: undefined } as BlockGradientOptions,
  rule(inputs, options) {
    const plan = options.plan ?? blockPlan(inputs, options, 'block')
    const { wanted } = options
    const like = (name: Input): ArrayInfo => {
      const info = inputs[name]
      return info && wanted[name] ? { ...info, type: plan.Z.type } : { size: NONE, dims: '', type: plan.Z.type }
    }
    return {
      outputs: [like('X'), like('weights'), like('bias'), like('offset'), like('scale')],
      plan: { ...plan, wanted, inputs, options },
    }
  },
  saves: [],
  gradient: {
    X: null,
    weights: null,
    bias: null,
    offset: null,
    scale: null,
    mu: null,
    sigmaSq: null,
    dY: null,
    Z: null,
    statistics: null,
  },
  kernels: {
    reference({ inputs, outputs, plan }) {
      const dY = { values: inputs.dY, info: plan.inputs.dY }
      const { wanted: _, plan: __, ...options } = plan.options
      referenceBlockGradient(described(inputs, plan.inputs), dY, options, ({ X, weights, bias, offset, scale }) => {
        const write = (to: Elements, array: DlArray | undefined) => {
          if (array && to.length > 0) to.set(array.storage.view())
        }
        write(outputs.dX, X)
        write(outputs.dWeights, weights)
        write(outputs.dBias, bias)
        write(outputs.dOffset, offset)
        write(outputs.dScale, scale)
      })
    },
    wasm({ inputs, outputs, plan, wasm }) {
      launchBlockGradient(wasm, plan, { ...inputs, ...outputs })
    },
  },
  samples: () => [],
})
