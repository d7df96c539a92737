import type { DlArray } from '../../array/dlarray.js'
import { positionsOf } from '../../array/format.js'
import { checkPerChannel } from '../arrays/layout.js'
import { relabelOperation } from '../arrays/relabel.js'
import { scalar } from '../call.js'
import {
  minusOperation,
  negated,
  plusOperation,
  rdivideOperation,
  scaled,
  timesOperation,
} from '../elementwise/arithmetic.js'
import { sqrtOperation } from '../elementwise/sqrt.js'
import { type GradientContext, operation } from '../operation.js'
import { sumOperation } from '../reductions/sum.js'
import { launchMoments } from './batch-moments-launch.js'
import { launchGiven, type NormalizationPlan } from './grouped-normalization.js'
import { channelGroups, normalizationInputs, normalizationRule, shapedLike } from './normalization-operation.js'

// Batch normalization by statistics given.

type GivenInput = 'X' | 'offset' | 'scale' | 'mu' | 'sigmaSq'

interface GivenPlan extends NormalizationPlan {
  /** The dimensions that a channel has all of, from 1. */
  readonly rest: readonly number[]
}

type GivenContext = GradientContext<
  GivenInput,
  never,
  'Y',
  { epsilon: number },
  GivenPlan,
  Exclude<GivenInput, 'offset'>
>

/** Normalizes each channel by the mean and variance given. */
export const batchnormGivenOperation = operation({
  name: 'batchnorm',
  inputs: ['X', 'offset', 'scale', 'mu', 'sigmaSq'],
  outputs: ['Y'],
  options: { epsilon: 1e-5 },
  rule({ X, offset, scale, mu, sigmaSq }, { epsilon }) {
    const { Y, plan } = normalizationRule({ X, offset, scale }, epsilon, 'batchnorm', channelGroups)
    checkPerChannel(mu, 'mu', plan.channels, X, 'batchnorm')
    checkPerChannel(sigmaSq, 'sigmaSq', plan.channels, X, 'batchnorm')
    return { outputs: [Y], plan: { ...plan, rest: positionsOf(X.dims, 'SBTU').map((d) => d + 1) } }
  },
  saves: ['X', 'scale', 'mu', 'sigmaSq'],
  gradient: {
    X: (context) => timesOperation.run({ A: context.gradient, B: given(context).factor }),
    offset: (context) => shapedLike(given(context).dOffset, context.inputs.offset),
    scale: (context) => shapedLike(given(context).dScale, context.inputs.scale),
    mu: (context) => {
      const { factor, dOffset } = given(context)
      return shapedLike(negated(timesOperation.run({ A: dOffset, B: factor })), context.inputs.mu)
    },
    sigmaSq: (context) => {
      const { factor, dScale, deviation } = given(context)
      const product = timesOperation.run({ A: dScale, B: factor })
      return shapedLike(scaled(rdivideOperation.run({ A: product, B: deviation }), -0.5), context.inputs.sigmaSq)
    },
  },
  kernels: {
    reference({ inputs: { X, offset, scale, mu, sigmaSq }, outputs: { Y }, plan }) {
      const { inner, channels, outer, epsilon } = plan
      for (let i = 0; i < inner * channels * outer; i++) {
        const c = Math.floor(i / inner) % channels
        Y[i] = (scale[c]! * (X[i]! - mu[c]!)) / Math.sqrt(sigmaSq[c]! + epsilon) + offset[c]!
      }
    },
    wasm({ inputs: { X: x, offset, scale, mu, sigmaSq }, outputs: { Y: y }, plan, wasm }) {
      wasm.withTemporary(12 * plan.channels, (statistics) => {
        launchMoments(wasm, 'batchStatistics', { statistics, mu, sigmaSq }, plan)
        launchGiven(wasm, { x, y, scale, offset, statistics }, plan)
      })
    },
  },
  samples: () =>
    (
      [
        [[5, 3, 4, 2], 'SSCB', 4],
        [[2, 3], 'CB', 2],
        [[17, 3, 2], 'SCB', 3],
        [[2, 3, 2, 3], 'SCBT', 3],
        [[1, 2, 2, 2], 'SSCB', 2],
      ] as const
    ).map(([size, format, channels]) => ({
      inputs: {
        ...normalizationInputs(size, format, channels),
        mu: { size: [channels, 1] },
        sigmaSq: { size: [channels], format: 'C', values: (i: number) => 0.4 + i },
      },
      options: { epsilon: 0.01 },
    })),
})

/**
 * With xhat = (x - mu) / deviation: factor = scale / deviation, dx = dy * factor, doffset = sum(dy), dscale = sum(dy * xhat),
 * dmu = -doffset * factor, dsigmaSq = -dscale * scale / (2 deviation²). Made of differentiable operations.
 */
function given({ gradient, saved: { X, scale, mu, sigmaSq }, plan, shared }: GivenContext) {
  return shared(() => {
    const perChannel = (array: DlArray) => relabelOperation.run({ X: array }, { size: [plan.channels], dims: 'C' })
    const summed = (array: DlArray) => perChannel(sumOperation.run({ X: array }, { over: plan.rest }))
    const shifted = plusOperation.run({ A: perChannel(sigmaSq), B: scalar(plan.epsilon, sigmaSq.underlyingType) })
    const deviation = sqrtOperation.run({ X: shifted })
    const centred = minusOperation.run({ A: X, B: perChannel(mu) })
    const product = timesOperation.run({ A: gradient, B: centred })
    return {
      deviation,
      factor: rdivideOperation.run({ A: perChannel(scale), B: deviation }),
      dOffset: summed(gradient),
      dScale: rdivideOperation.run({ A: summed(product), B: deviation }),
    }
  })
}
