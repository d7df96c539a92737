import type { ArrayInfo, DlArray } from '../../array/dlarray.js'
import { describe, normalized, numel } from '../../array/format.js'
import { DimensionError } from '../../errors.js'
import { relabelOperation } from '../arrays/relabel.js'
import { operation, resultType } from '../operation.js'
import { expandOperation } from '../reductions/sum.js'
import {
  type ConvolutionGeometry,
  convolutionGeometry,
  type ImageLayout,
  imageLayout,
  ofRank,
  type Padding,
  type PerDimension,
  positive,
  product,
  resolveEdges,
  triple,
  type WeightsLayout,
  type WindowOptions,
  weightsLayout,
  windowOptions,
} from './convolution-geometry.js'
import {
  launchBiasGradient,
  launchConvolve,
  launchConvolveTransposed,
  launchFilterGradient,
} from './convolution-launch.js'
import { referenceConvolve, referenceConvolveTransposed, referenceFilterGradient } from './convolution-reference.js'

// A convolution, its transpose and its gradient for the filters: each one's gradients are made of the other two, so that
// derivatives of any order exist.

/** Y = convolution of X [S..., C, rest] with weights [filter..., channels per group, filters per group, groups] plus bias. */
export const dlconvOperation = operation({
  name: 'dlconv',
  inputs: ['X', 'weights', 'bias'],
  optional: ['bias'],
  outputs: ['Y'],
  options: { stride: 1 as PerDimension, dilationFactor: 1 as PerDimension, padding: 0 as Padding },
  rule({ X, weights, bias }, options) {
    const image = imageLayout(X, 'dlconv')
    const filters = weightsLayout(weights, image.extents.length, 'channels per group, filters per group', 'dlconv')
    checkChannels(image, filters.inner, filters, X, weights, 'dlconv')
    const plan = convolutionGeometry(image, filters, options, 'dlconv')
    checkBias(bias, plan.filters * plan.groups, 'dlconv')
    return { outputs: [imageLike(X, ofRank(plan, plan.output), plan.filters * plan.groups, [X, weights, bias])], plan }
  },
  saves: ['X', 'weights'],
  gradient: {
    X: ({ gradient, saved, plan }) => transposed(gradient, saved.weights, plan),
    weights: ({ gradient, saved, plan, inputs }) => filterGradient(saved.X, gradient, plan, inputs.weights),
    bias: ({ gradient, inputs }) => biasGradient(gradient, inputs.bias),
  },
  kernels: {
    reference({ inputs: { X, weights, bias }, outputs: { Y }, plan }) {
      referenceConvolve(plan, X, weights, bias, Y)
    },
    wasm({ inputs: { X, weights, bias }, outputs: { Y }, plan, wasm }) {
      launchConvolve(wasm, plan, { X, weights, bias, Y })
    },
  },
  samples: () => [
    windows([6, 7, 3, 2], 'SSCB', [3, 2, 3, 5], 5),
    windows([9, 8, 4, 2], 'SSCB', [3, 3, 2, 3, 2], 6, {
      stride: [2, 1],
      padding: [
        [1, 0],
        [2, 1],
      ],
    }),
    windows([9, 7, 2, 2], 'SSCB', [3, 2, 2, 3], 3, { dilationFactor: 2, padding: 'same', stride: 2 }),
    windows([13, 3, 2], 'SCB', [4, 3, 2], 2, { padding: 'causal', dilationFactor: 2 }),
    windows([4, 5, 3, 2, 2], 'SSSCB', [2, 2, 3, 2, 3], 3),
    windows([5, 5, 3, 2], 'SSCB', [3, 3, 1, 1, 3], 3, { padding: 1 }),
    windows([3, 4, 2, 2, 3], 'SSCBT', [2, 3, 2, 4], 4),
    windows([1, 1, 1, 1], 'SSCB', [1, 1, 1, 1], 1),
    { inputs: { X: { size: [5, 4, 3, 2], format: 'SSCB' }, weights: { size: [1, 1, 3, 2] } } },
    windows([5, 4, 3, 0], 'SSCB', [3, 2, 3, 2], 2),
  ],
})

/**
 * Y = adjoint of {@link dlconvOperation} applied to X, plus bias; weights [filter..., filters per group, channels per group,
 * groups]. `outputSize` names one of the sizes whose convolution has the size of X; by default the smallest.
 */
export const dltranspconvOperation = operation({
  name: 'dltranspconv',
  inputs: ['X', 'weights', 'bias'],
  optional: ['bias'],
  outputs: ['Y'],
  options: {
    stride: 1 as PerDimension,
    dilationFactor: 1 as PerDimension,
    cropping: 0 as Exclude<Padding, 'causal'>,
    outputSize: undefined as readonly number[] | undefined,
  },
  rule({ X, weights, bias }, options) {
    const image = imageLayout(X, 'dltranspconv')
    const rank = image.extents.length
    const filters = weightsLayout(weights, rank, 'filters per group, channels per group', 'dltranspconv')
    checkChannels(image, filters.outer, filters, X, weights, 'dltranspconv')
    const plan = transposedGeometry(image, filters, options)
    checkBias(bias, plan.channels * plan.groups, 'dltranspconv')
    return { outputs: [imageLike(X, ofRank(plan, plan.image), plan.channels * plan.groups, [X, weights, bias])], plan }
  },
  saves: ['X', 'weights'],
  gradient: {
    X: ({ gradient, saved, plan }) => dlconvOperation.run({ X: gradient, weights: saved.weights }, windowOptions(plan)),
    weights: ({ gradient, saved, plan, inputs }) => filterGradient(gradient, saved.X, plan, inputs.weights),
    bias: ({ gradient, inputs }) => biasGradient(gradient, inputs.bias),
  },
  kernels: {
    reference({ inputs: { X, weights, bias }, outputs: { Y }, plan }) {
      referenceConvolveTransposed(plan, X, weights, bias, Y)
    },
    wasm({ inputs: { X, weights, bias }, outputs: { Y }, plan, wasm }) {
      launchConvolveTransposed(wasm, plan, { X, weights, bias, Y })
    },
  },
  samples: () => [
    windows([4, 3, 3, 2], 'SSCB', [3, 2, 5, 3], 5),
    windows([4, 5, 4, 2], 'SSCB', [3, 3, 3, 2, 2], 6, {
      stride: [2, 3],
      cropping: [
        [1, 0],
        [0, 1],
      ],
    }),
    windows([5, 3, 2], 'SCB', [3, 2, 3], 2, { stride: 2, dilationFactor: 3, cropping: 'same' }),
    windows([3, 2, 2, 2, 2], 'SSSCB', [2, 2, 3, 3, 2], 3, { stride: 2 }),
    windows([3, 2, 2, 2], 'SSCB', [1, 2, 3, 2], 3, { stride: 3, cropping: 'same' }),
    windows([3, 4, 2, 1], 'SSCB', [2, 2, 3, 2], 3, { stride: 2, outputSize: [7, 9] }),
  ],
})

/** dWeights = gradient of a convolution of X for its weights, where dY is the gradient of its result. */
export const convolutionFilterGradientOperation = operation({
  name: 'convolutionFilterGradient',
  inputs: ['X', 'dY'],
  outputs: ['dWeights'],
  options: {
    stride: 1 as PerDimension,
    dilationFactor: 1 as PerDimension,
    padding: 0 as Padding,
    size: [] as readonly number[],
    dims: '',
  },
  rule({ X, dY }, options) {
    const name = 'convolutionFilterGradient'
    const image = imageLayout(X, name)
    const output = imageLayout(dY, name)
    const weights = { size: options.size, dims: options.dims, type: resultType([X, dY]) }
    const filters = weightsLayout(weights, image.extents.length, 'channels per group, filters per group', name)
    checkChannels(image, filters.inner, filters, X, weights, name)
    checkChannels(output, filters.outer, filters, dY, weights, name)
    const plan = convolutionGeometry(image, filters, options, name)
    if (ofRank(plan, plan.output).join() !== output.extents.join() || image.observations !== output.observations)
      throw new DimensionError({
        call: name,
        expects: `dY of ${ofRank(plan, plan.output).join('×')} positions, as many as the convolution of X has`,
        got: `${describe(dY)} for X of ${describe(X)}`,
        remedy: 'Give the gradient of the result of that convolution.',
      })
    return { outputs: [{ ...normalized(weights.size, weights.dims), type: weights.type }], plan }
  },
  saves: ['X', 'dY'],
  gradient: {
    X: ({ gradient, saved, plan }) => transposed(saved.dY, gradient, plan),
    dY: ({ gradient, saved, plan }) => dlconvOperation.run({ X: saved.X, weights: gradient }, windowOptions(plan)),
  },
  kernels: {
    reference({ inputs: { X, dY }, outputs: { dWeights }, plan }) {
      referenceFilterGradient(plan, X, dY, dWeights)
    },
    wasm({ inputs: { X, dY }, outputs: { dWeights }, plan, wasm }) {
      launchFilterGradient(wasm, plan, { X, dY, dWeights })
    },
  },
  samples: () => [
    filterSample([6, 7, 3, 2], 'SSCB', [4, 6, 5, 2], { size: [3, 2, 3, 5] }),
    filterSample([9, 4, 3], 'SCB', [5, 6, 3], { size: [3, 2, 3, 2], stride: 2, padding: 1 }),
    filterSample([4, 5, 3, 2, 2], 'SSSCB', [3, 4, 1, 3, 2], { size: [2, 2, 3, 2, 3] }),
    filterSample([9, 9, 1, 1], 'SSCB', [5, 5, 1, 1], { size: [3, 3, 1, 1], dilationFactor: 2 }),
  ],
})

/** gradient[c] = sum of dY over everything but channels, in the size and labels of the bias. */
export const convolutionBiasGradientOperation = operation({
  name: 'convolutionBiasGradient',
  inputs: ['dY'],
  outputs: ['dBias'],
  options: { size: [] as readonly number[], dims: '' },
  rule({ dY }, { size, dims }) {
    const { extents, channels, observations } = imageLayout(dY, 'convolutionBiasGradient')
    const dBias = { ...normalized(size, dims), type: dY.type }
    checkBias(dBias, channels, 'convolutionBiasGradient')
    return { outputs: [dBias], plan: { plane: product(extents), channels, observations } }
  },
  saves: [],
  gradient: {
    dY({ gradient, inputs }) {
      const size = inputs.dY.size.map((extent, d) => (inputs.dY.dims[d] === 'C' ? extent : 1))
      const perChannel = relabelOperation.run({ X: gradient }, { size, dims: inputs.dY.dims })
      return expandOperation.run({ X: perChannel }, { size: inputs.dY.size, dims: inputs.dY.dims })
    },
  },
  kernels: {
    reference({ inputs: { dY }, outputs: { dBias }, plan }) {
      const totals = new Float64Array(plan.channels)
      for (let i = 0; i < dY.length; i++) totals[Math.floor(i / plan.plane) % plan.channels]! += dY[i]!
      dBias.set(totals)
    },
    wasm({ inputs: { dY }, outputs: { dBias }, plan, wasm }) {
      launchBiasGradient(wasm, { dY, gradient: dBias }, plan.plane, plan.channels, plan.observations)
    },
  },
  samples: () => [
    { inputs: { dY: { size: [5, 4, 3, 2], format: 'SSCB' } }, options: { size: [3, 1] } },
    { inputs: { dY: { size: [23, 5, 2], format: 'SCB' } }, options: { size: [5], dims: 'C' } },
    { inputs: { dY: { size: [2, 3, 2, 4, 0], format: 'SSSCB' } }, options: { size: [1, 1, 1, 4] } },
  ],
})

interface SampleOptions extends Partial<WindowOptions> {
  readonly cropping?: Exclude<Padding, 'causal'>
  readonly outputSize?: readonly number[]
}

function windows(
  size: readonly number[],
  format: string,
  weights: readonly number[],
  channels: number,
  options: SampleOptions = {},
) {
  return { inputs: { X: { size, format }, weights: { size: weights }, bias: { size: [channels, 1] } }, options }
}

function filterSample<O>(X: readonly number[], format: string, dY: readonly number[], options: O) {
  return { inputs: { X: { size: X, format }, dY: { size: dY, format } }, options }
}

function transposed(X: DlArray, weights: DlArray, plan: ConvolutionGeometry): DlArray {
  const { stride, dilationFactor, padding } = windowOptions(plan)
  return dltranspconvOperation.run(
    { X, weights },
    { stride, dilationFactor, cropping: padding as number[][], outputSize: ofRank(plan, plan.image) },
  )
}

function filterGradient(X: DlArray, dY: DlArray, plan: ConvolutionGeometry, weights: ArrayInfo): DlArray {
  const { size, dims } = weights
  return convolutionFilterGradientOperation.run({ X, dY }, { ...windowOptions(plan), size, dims })
}

function biasGradient(dY: DlArray, bias: ArrayInfo | undefined): DlArray {
  return convolutionBiasGradientOperation.run({ dY }, { size: bias!.size, dims: bias!.dims })
}

function imageLike(X: ArrayInfo, extents: readonly number[], channels: number, inputs: (ArrayInfo | undefined)[]) {
  const size = [...extents, channels, ...X.size.slice(extents.length + 1)]
  return { size, dims: X.dims, type: resultType(inputs) }
}

function checkChannels(
  image: ImageLayout,
  perGroup: number,
  { groups }: WeightsLayout,
  X: ArrayInfo,
  weights: ArrayInfo,
  call: string,
): void {
  if (image.channels !== perGroup * groups)
    throw new DimensionError({
      call,
      expects: `weights for the ${image.channels} channels of X`,
      got: `weights of ${weights.size.join('×')}, which take ${perGroup * groups} channels (${perGroup} in each of ${groups} groups), and X of ${describe(X)}`,
      remedy: `Give weights [filter..., ${call === 'dltranspconv' ? 'filters, channels' : 'channels, filters'}, groups] that fit, or name their dimensions with weightsFormat.`,
    })
}

function checkBias(bias: ArrayInfo | undefined, channels: number, call: string): void {
  if (bias && numel(bias.size) !== channels)
    throw new DimensionError({
      call,
      expects: `a bias with one element for each of the ${channels} filters`,
      got: describe(bias),
      remedy: `Give ${channels} elements, a scalar, or no bias.`,
    })
}

function transposedGeometry(
  X: ImageLayout,
  weights: WeightsLayout,
  options: {
    readonly stride: PerDimension
    readonly dilationFactor: PerDimension
    readonly cropping: Exclude<Padding, 'causal'>
    readonly outputSize: readonly number[] | undefined
  },
): ConvolutionGeometry {
  const call = 'dltranspconv'
  const rank = X.extents.length
  const stride = positive(options.stride, rank, 'stride', call)
  const dilation = positive(options.dilationFactor, rank, 'dilationFactor', call)
  const reach = weights.filter.map((taps, d) => (taps - 1) * dilation[d]! + 1)
  const full = X.extents.map((extent, d) => (extent - 1) * stride[d]! + reach[d]!)
  let size = options.outputSize
  let before: readonly number[]
  if (options.cropping === 'same') {
    size ??= X.extents.map((extent, d) => extent * stride[d]!)
    const all = size
    before = full.map((extent, d) => Math.max(0, Math.floor((extent - all[d]!) / 2)))
  } else {
    const crop = resolveEdges(options.cropping, rank, 'cropping', call)
    before = crop.before
    size ??= full.map((extent, d) => extent - before[d]! - crop.after[d]!)
  }
  const result = size
  // A size belongs to X when the convolution of an array of that size, with padding in place of cropping, has X's size.
  const after = result.map((extent, d) => Math.max(0, full[d]! - extent - before[d]!))
  const fits = result.every((extent, d) => {
    const room = extent + before[d]! + after[d]! - reach[d]!
    return Number.isInteger(extent) && extent >= 1 && Math.floor(room / stride[d]!) + 1 === X.extents[d]
  })
  if (!fits || result.length !== rank || weights.filter.some((taps) => taps < 1))
    throw new DimensionError({
      call,
      expects:
        'a result with at least one element in each dimension that a convolution would bring back to the size of X',
      got: `${result.join('×')} for X of ${X.extents.join('×')} with a filter reaching over ${reach.join('×')}`,
      remedy: 'Crop less, or give a larger filter or stride.',
    })
  return {
    rank,
    observations: X.observations,
    groups: weights.groups,
    channels: weights.inner,
    filters: weights.outer,
    image: triple(result, 1),
    output: triple(X.extents, 1),
    taps: triple(weights.filter, 1),
    stride: triple(stride, 1),
    dilation: triple(dilation, 1),
    before: triple(before, 0),
    after: triple(after, 0),
  }
}
