import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import { positionsOf } from '../array/format.js'
import { OptionError } from '../errors.js'
import { minusOperation, plusOperation, rdivideOperation, scaled, timesOperation } from './arithmetic.js'
import { call, type DataFormatOption, scalar } from './call.js'
import { channelLayout, checkPerChannel } from './layout.js'
import {
  epsilonFor,
  type Grouping,
  launchNormalization,
  launchNormalizationGradient,
  statisticsSize,
} from './normalization.js'
import { type GradientContext, operation, resultType } from './operation.js'
import { relabelOperation } from './relabel.js'
import { sqrtOperation } from './sqrt.js'
import { sumOperation } from './sum.js'

/** Normalizes each channel of each observation over its S, T and U dimensions; also gives the numbers that describe a plane. */
export const instancenormOperation = operation({
  name: 'instancenorm',
  inputs: ['X', 'offset', 'scale'],
  outputs: ['Y', 'statistics'],
  options: { epsilon: 1e-5 },
  rule({ X, offset, scale }, { epsilon }) {
    if (!(Number.isFinite(epsilon) && epsilon > 0))
      throw new OptionError({
        call: 'instancenorm',
        expects: 'a positive finite epsilon',
        got: typeof epsilon === 'string' ? `'${epsilon}'` : String(epsilon),
        remedy: 'It is added to the variance; 1e-5 is the default.',
      })
    const layout = channelLayout(X, 'instancenorm')
    checkPerChannel(offset, 'offset', layout.channels, X, 'instancenorm')
    checkPerChannel(scale, 'scale', layout.channels, X, 'instancenorm')
    const type = resultType([X, offset, scale])
    const plan = { ...layout, groupChannels: 1, epsilon: epsilonFor(type, epsilon) }
    return {
      outputs: [
        { size: X.size, dims: X.dims, type },
        { size: statisticsSize(plan), dims: '', type },
      ],
      plan,
    }
  },
  saves: ['X', 'scale', 'statistics'],
  gradient: {
    X: (context) => gradients(context).dX,
    offset: (context) => gradients(context).dOffset,
    scale: (context) => gradients(context).dScale,
  },
  kernels: {
    reference({ inputs: { X, offset, scale }, outputs: { Y, statistics }, plan }) {
      const { inner, channels, observations, outer, epsilon } = plan
      const count = inner * outer
      for (let b = 0; b < observations; b++)
        for (let c = 0; c < channels; c++) {
          const plane = c + channels * b
          const visit = (each: (i: number) => void) => {
            for (let o = 0; o < outer; o++)
              for (let s = 0; s < inner; s++) each(s + inner * (plane + channels * observations * o))
          }
          let total = 0
          visit((i) => {
            total += X[i]!
          })
          const mu = total / count
          let squares = 0
          visit((i) => {
            squares += (X[i]! - mu) ** 2
          })
          const inverse = 1 / Math.sqrt(squares / count + epsilon)
          visit((i) => {
            Y[i] = scale[c]! * (X[i]! - mu) * inverse + offset[c]!
          })
          statistics[3 * plane] = mu
          statistics[3 * plane + 1] = 0
          statistics[3 * plane + 2] = inverse
        }
    },
    wasm({ inputs: { X: x, offset, scale }, outputs: { Y: y, statistics }, plan, wasm }) {
      launchNormalization(wasm, { x, y, scale, offset, statistics }, plan)
    },
  },
  samples: () => [
    parameters([5, 3, 4, 2], 'SSCB', 4),
    { ...parameters([5, 3, 4, 2], 'SSCB', 4), options: { epsilon: 0.1 } },
    parameters([6, 3, 2], 'SCB', 3),
    parameters([3, 2, 7], 'CBT', 3),
    parameters([4, 3, 2, 5], 'SCBT', 3),
    parameters([2, 3, 2, 3, 2, 2], 'SSSCBT', 3),
    parameters([4, 2, 3], 'SCU', 2),
    parameters([7, 3], 'SC', 3),
    parameters([3, 4], 'CB', 3),
    parameters([1, 1, 3, 2], 'SSCB', 3),
  ],
})

function parameters(size: readonly number[], format: string, channels: number) {
  return {
    inputs: { X: { size, format }, offset: { size: [channels], format: 'C' }, scale: { size: [1, 1, channels] } },
  }
}

type Gradients = { readonly dX: DlArray; readonly dOffset: DlArray; readonly dScale: DlArray }

type Context = GradientContext<
  'X' | 'offset' | 'scale',
  never,
  'Y' | 'statistics',
  { epsilon: number },
  Grouping,
  'X' | 'scale' | 'statistics'
>

/** All three gradients: in one fused pass, or of differentiable operations when they will be differentiated again. */
function gradients(context: Context): Gradients {
  return context.shared(() => {
    if (context.recording) return composedGradients(context)
    const { X, scale, statistics } = context.saved
    const { dX, dOffset, dScale } = instancenormGradientOperation.runAll({
      dY: context.gradient,
      X,
      scale,
      statistics,
    })
    return { dX, dOffset: shapedLike(dOffset, context.inputs.offset), dScale: shapedLike(dScale, context.inputs.scale) }
  })
}

/**
 * With xhat = (x - mean) / deviation and g = scale * dy:
 * dx = (g - mean(g) - xhat * mean(g * xhat)) / deviation, dscale = sum(dy * xhat), doffset = sum(dy).
 * Source: Ulyanov, Vedaldi, Lempitsky, "Instance Normalization", 2016; derivative as for batch normalization (Ioffe, Szegedy, 2015).
 */
function composedGradients({ gradient, saved, inputs, plan }: Context): Gradients {
  const { X } = saved
  const over = positionsOf(X.dims, 'STU').map((d) => d + 1)
  const mean = (array: DlArray) => scaled(sumOperation.run({ X: array }, { over }), 1 / (plan.inner * plan.outer))
  const times = (A: DlArray, B: DlArray) => timesOperation.run({ A, B })
  const minus = (A: DlArray, B: DlArray) => minusOperation.run({ A, B })
  const centred = minus(X, mean(X))
  const variance = mean(times(centred, centred))
  const deviation = sqrtOperation.run({
    X: plusOperation.run({ A: variance, B: scalar(plan.epsilon, X.underlyingType) }),
  })
  const xhat = rdivideOperation.run({ A: centred, B: deviation })
  const scale = relabelOperation.run({ X: saved.scale }, { size: [plan.channels], dims: 'C' })
  const g = times(gradient, scale)
  const dX = rdivideOperation.run({ A: minus(minus(g, mean(g)), times(xhat, mean(times(g, xhat)))), B: deviation })
  const rest = positionsOf(X.dims, 'SBTU').map((d) => d + 1)
  const perChannel = (array: DlArray, target: ArrayInfo) =>
    shapedLike(sumOperation.run({ X: array }, { over: rest }), target)
  return {
    dX,
    dOffset: perChannel(gradient, inputs.offset),
    dScale: perChannel(times(gradient, xhat), inputs.scale),
  }
}

function shapedLike(array: DlArray, target: ArrayInfo): DlArray {
  return relabelOperation.run({ X: array }, { size: target.size, dims: target.dims })
}

/** The three gradients in one pass over x and dy. Not differentiable itself: see {@link composedGradients}. */
export const instancenormGradientOperation = operation({
  name: 'instancenormGradient',
  inputs: ['dY', 'X', 'scale', 'statistics'],
  outputs: ['dX', 'dOffset', 'dScale'],
  options: {},
  rule({ X, scale }) {
    const layout = channelLayout(X, 'instancenorm')
    const perChannel = { size: [layout.channels, 1], dims: 'CU', type: resultType([scale]) }
    return { outputs: [X, perChannel, perChannel], plan: { ...layout, groupChannels: 1, epsilon: 0 } }
  },
  saves: [],
  gradient: { dY: null, X: null, scale: null, statistics: null },
  kernels: {
    reference({ inputs: { dY, X, scale, statistics }, outputs: { dX, dOffset, dScale }, plan }) {
      const { inner, channels, observations, outer } = plan
      const count = inner * outer
      const offsets = new Float64Array(channels)
      const scales = new Float64Array(channels)
      for (let b = 0; b < observations; b++)
        for (let c = 0; c < channels; c++) {
          const plane = c + channels * b
          const mu = statistics[3 * plane]! + statistics[3 * plane + 1]!
          const inverse = statistics[3 * plane + 2]!
          const visit = (each: (i: number, xhat: number) => void) => {
            for (let o = 0; o < outer; o++)
              for (let s = 0; s < inner; s++) {
                const i = s + inner * (plane + channels * observations * o)
                each(i, (X[i]! - mu) * inverse)
              }
          }
          let sumGradient = 0
          let sumProduct = 0
          visit((i, xhat) => {
            sumGradient += dY[i]!
            sumProduct += dY[i]! * xhat
          })
          visit((i, xhat) => {
            dX[i] = scale[c]! * inverse * (dY[i]! - sumGradient / count - (xhat * sumProduct) / count)
          })
          offsets[c]! += sumGradient
          scales[c]! += sumProduct
        }
      dOffset.set(offsets)
      dScale.set(scales)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      const { dY: dy, X: x, scale, statistics } = inputs
      const { dX: dx, dOffset: doffset, dScale: dscale } = outputs
      if (plan.inner * plan.outer === 0) {
        // Planes without elements have no statistics, and add nothing.
        for (const y of [dscale, doffset]) wasm.launch('fill', { y, value: 0 }, { items: plan.channels, grain: 65536 })
        return
      }
      launchNormalizationGradient(wasm, { x, dy, dx, scale, statistics, dscale, doffset }, plan)
    },
  },
  samples: () => [],
})

/**
 * Instance normalization: normalizes each channel of each observation over its S, T and U dimensions, then scales and shifts,
 * y = scale * (x - mean) / sqrt(variance + epsilon) + offset, with the biased variance. Mind the order: offset first.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `X` | any format with C; the result has the same format. Unformatted with `dataFormat` |
 * | `offset`, `scale` | one element per channel, unformatted along one dimension or labelled C |
 * | `epsilon` | positive, added to the variance; default 1e-5 |
 * | `dataFormat` | labels of an unformatted `X`; the result is unformatted in the same order |
 *
 * With nothing to reduce (`CB`, or planes of one element) the result is `offset`. Errors: a {@link DimensionError} without C
 * or with parameters of another length, an {@link OptionError} for epsilon. Source: MATLAB, `instancenorm`.
 */
export function instancenorm<F extends string>(
  X: DlArray<F>,
  offset: DlArray,
  scale: DlArray,
  options: { readonly epsilon?: number } & DataFormatOption = {},
): DlArray<F> {
  return call(instancenormOperation, { X, offset, scale }, options) as DlArray<F>
}
