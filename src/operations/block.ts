import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import type { Elements } from '../array/storage.js'
import {
  type BlockGradients,
  composedGradients,
  type Described,
  referenceBlock,
  referenceBlockGradient,
} from './block-composed.js'
import { launchBlock, launchBlockGradient } from './block-launch.js'
import { type BlockInputs, type BlockOptions, type BlockPlan, blockPlan, defaultBlock } from './block-options.js'
import { type GradientContext, operation, type Sample } from './operation.js'

// Convolution, instance normalization, activation and pooling as one operation, forward and backward: a plane stays in the
// cache from the first to the last. Networks use it in place of several layers.

type Input = keyof BlockInputs<unknown>
type Optional = Exclude<Input, 'X'>

const NONE: readonly number[] = [0, 1]

/** Y = pooling(activation(instancenorm(dlconv(X, weights, bias), offset, scale))), without the steps that are not there. */
export const blockOperation = operation({
  name: 'block',
  inputs: ['X', 'weights', 'bias', 'offset', 'scale'],
  optional: ['weights', 'bias', 'offset', 'scale'],
  outputs: ['Y', 'Z', 'statistics'],
  options: defaultBlock,
  rule(inputs, options) {
    const plan = blockPlan(inputs, options, 'block')
    const { Z, Y, channels, observations } = plan
    const { type } = Z
    return {
      outputs: [
        Y,
        plan.convolution && options.keep ? Z : { size: NONE, dims: '', type },
        { size: plan.isNormalized ? [3, channels * observations] : NONE, dims: '', type },
      ],
      plan: { ...plan, inputs, options },
    }
  },
  saves: ['X', 'weights', 'bias', 'offset', 'scale', 'Z', 'statistics'],
  gradient: {
    X: (context) => gradients(context).X!,
    weights: (context) => gradients(context).weights!,
    bias: (context) => gradients(context).bias!,
    offset: (context) => gradients(context).offset!,
    scale: (context) => gradients(context).scale!,
  },
  kernels: {
    reference({ inputs, outputs, plan }) {
      referenceBlock(described(inputs, plan.inputs), plan.options, ({ Y, Z, statistics }) => {
        outputs.Y.set(Y.storage.view())
        if (Z && outputs.Z.length > 0) outputs.Z.set(Z.storage.view())
        if (statistics) outputs.statistics.set(statistics.storage.view())
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
    // as large as one second derivative is tested with
    sample(
      [3, 3, 1, 1],
      'SSCB',
      { activation: 'relu', pooling: 'max', poolSize: 2 },
      { ...convolved(1, 1), isNormalized: true },
    ),
  ],
})

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
  return {
    inputs: {
      X: { size, format },
      ...(weights && { weights: { size: weights }, bias: { size: [channels, 1] } }),
      // of both signs: maximum pooling of what falls with x
      ...(isNormalized && {
        offset: perChannel,
        scale: { ...perChannel, values: (i: number) => (i % 2 ? -0.8 : 1.3) },
      }),
    },
    options,
  }
}

function described(
  elements: { readonly [K in Input]?: Elements },
  infos: { readonly [K in Input]?: ArrayInfo },
): BlockInputs<Described> {
  const names = ['X', 'weights', 'bias', 'offset', 'scale'] as const
  return Object.fromEntries(
    names.flatMap((name) => (infos[name] ? [[name, { values: elements[name]!, info: infos[name] }]] : [])),
  ) as unknown as BlockInputs<Described>
}

type Context = GradientContext<
  Input,
  Optional,
  'Y' | 'Z' | 'statistics',
  BlockOptions,
  BlockPlan,
  Input | 'Z' | 'statistics'
>

/** All gradients asked for: in one pass, or through the steps when they will be differentiated again. */
function gradients(context: Context): BlockGradients {
  const { gradient, saved, options, wanted, recording, shared } = context
  return shared(() => {
    const { Z, statistics, ...inputs } = saved
    if (recording) return composedGradients(present(inputs), gradient, options)
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

const all = { X: true, weights: true, bias: true, offset: true, scale: true }

/** The gradients of a block in one pass over each plane. Not differentiable itself: see {@link composedGradients}. */
export const blockGradientOperation = operation({
  name: 'blockGradient',
  inputs: ['X', 'weights', 'bias', 'offset', 'scale', 'dY', 'Z', 'statistics'],
  optional: ['weights', 'bias', 'offset', 'scale'],
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
