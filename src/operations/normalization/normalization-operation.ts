import type { ArrayInfo, DlArray } from '../../array/dlarray.js'
import type { Elements } from '../../array/storage.js'
import { OptionError } from '../../errors.js'
import { makeArray } from '../../memory/scope.js'
import { type ChannelLayout, channelLayout, checkPerChannel } from '../arrays/layout.js'
import { relabelOperation } from '../arrays/relabel.js'
import { scalar } from '../call.js'
import { minusOperation, plusOperation, rdivideOperation, scaled, timesOperation } from '../elementwise/arithmetic.js'
import { sqrtOperation } from '../elementwise/sqrt.js'
import { operation, resultType, type Sample } from '../operation.js'
import { sumOperation } from '../reductions/sum.js'
import { launchGrouped, launchGroupedGradient, type NormalizationPlan } from './grouped-normalization.js'
import { epsilonFor, groupCount, statisticsSize } from './normalization.js'
import { isTiny } from './normalization-tiny.js'

// What instance, group, layer and batch normalization have in common. They differ in what belongs to one group: it has one
// mean and one variance.

export type NormalizationInput = 'X' | 'offset' | 'scale'

/** Which elements of an array belong together. */
export type Groups = Omit<NormalizationPlan, 'epsilon'>

/** A channel is one group: observations count as further elements of it. */
export function channelGroups({ inner, channels, observations, outer }: ChannelLayout): Groups {
  return { inner, channels, observations: 1, outer: observations * outer, groupChannels: 1, positions: 1 }
}

/** Throws an {@link OptionError} unless it is positive and finite. */
function checkEpsilon(epsilon: number, call: string): void {
  if (!(Number.isFinite(epsilon) && epsilon > 0))
    throw new OptionError({
      call,
      expects: 'a positive finite epsilon',
      got: typeof epsilon === 'string' ? `'${epsilon}'` : String(epsilon),
      remedy: 'It is added to the variance; 1e-5 is the default.',
    })
}

/** Checks the inputs of a normalization and describes it. */
export function normalizationRule(
  { X, offset, scale }: Readonly<Record<NormalizationInput, ArrayInfo>>,
  epsilon: number,
  call: string,
  groupsOf: (layout: ChannelLayout) => Groups,
): { readonly Y: ArrayInfo; readonly plan: NormalizationPlan } {
  checkEpsilon(epsilon, call)
  const layout = channelLayout(X, call)
  checkPerChannel(offset, 'offset', layout.channels, X, call)
  checkPerChannel(scale, 'scale', layout.channels, X, call)
  const type = resultType([X, offset, scale])
  return {
    Y: { size: X.size, dims: X.dims, type },
    plan: { ...groupsOf(layout), epsilon: epsilonFor(type, epsilon) },
  }
}

interface Normalization<O> {
  readonly name: string
  readonly options: O
  /** Whether statistics of tiny planes are left out, being more bytes than what they are taken from. Default false. */
  readonly sparesStatistics?: boolean
  readonly groups: (layout: ChannelLayout, options: O, X: ArrayInfo) => Groups
  readonly samples: () => readonly Sample<NormalizationInput, O>[]
}

/** A normalization by the statistics of its input; also gives the numbers that describe a group. */
export function normalizationOperation<O extends { readonly epsilon: number }>({
  name,
  options,
  sparesStatistics = false,
  groups,
  samples,
}: Normalization<O>) {
  const isSpared = (plan: NormalizationPlan) => sparesStatistics && isTiny(plan)
  return operation({
    name,
    inputs: ['X', 'offset', 'scale'],
    outputs: ['Y', 'statistics'],
    options,
    rule(inputs, given) {
      const { Y, plan } = normalizationRule(inputs, given.epsilon, name, (layout) => groups(layout, given, inputs.X))
      const size = isSpared(plan) ? [3, 0] : statisticsSize(plan)
      return { outputs: [Y, { size, dims: '', type: Y.type }], plan }
    },
    saves: ['X', 'scale', 'statistics'],
    gradient: {
      X: (context) => normalizationGradients(context).dX,
      offset: (context) => normalizationGradients(context).dOffset,
      scale: (context) => normalizationGradients(context).dScale,
    },
    kernels: {
      reference({ inputs: { X, offset, scale }, outputs: { Y, statistics }, plan }) {
        referenceNormalization({ X, offset, scale }, { Y, statistics }, plan)
      },
      wasm({ inputs: { X: x, offset, scale }, outputs: { Y: y, statistics }, plan, wasm }) {
        launchGrouped(wasm, { x, y, scale, offset, statistics: isSpared(plan) ? 0 : statistics }, plan)
      },
    },
    samples,
  })
}

/** Sizes of a sample: offset labelled, scale not. */
export function normalizationInputs(size: readonly number[], format: string, channels: number) {
  return { X: { size, format }, offset: { size: [channels], format: 'C' }, scale: { size: [1, 1, channels] } }
}

// --- Reference ----------------------------------------------------------------------------------------------------------

/** Calls `visit(index of an element, its channel)` for the elements of a group. */
function eachOfGroup(plan: NormalizationPlan, group: number, visit: (i: number, channel: number) => void): void {
  const { inner, channels, observations, outer, groupChannels, positions } = plan
  const perObservation = channels / groupChannels
  const first = (group % perObservation) * groupChannels
  const observation = Math.floor(group / perObservation)
  const position = observation % positions
  const rest = (observation - position) / positions
  for (let o = 0; o < outer; o++)
    for (let c = first; c < first + groupChannels; c++)
      for (let s = 0; s < inner; s++)
        visit(
          positions > 1
            ? position + positions * (c + channels * rest)
            : s + inner * (c + channels * (observation + observations * o)),
          c,
        )
}

/** Mean and 1 / sqrt(variance + epsilon) of a group. */
function measured(X: Elements, plan: NormalizationPlan, group: number) {
  const count = plan.inner * plan.groupChannels * plan.outer
  let total = 0
  eachOfGroup(plan, group, (i) => {
    total += X[i]!
  })
  const mu = total / count
  let squares = 0
  eachOfGroup(plan, group, (i) => {
    squares += (X[i]! - mu) ** 2
  })
  return { mu, inverse: 1 / Math.sqrt(squares / count + plan.epsilon) }
}

export function referenceNormalization(
  { X, offset, scale }: Readonly<Record<NormalizationInput, Elements>>,
  { Y, statistics }: { readonly Y: Elements; readonly statistics: Elements },
  plan: NormalizationPlan,
): void {
  for (let group = 0; group < groupCount(plan); group++) {
    const { mu, inverse } = measured(X, plan, group)
    eachOfGroup(plan, group, (i, c) => {
      Y[i] = scale[c]! * (X[i]! - mu) * inverse + offset[c]!
    })
    if (statistics.length > 0) statistics.set([mu, 0, inverse], 3 * group)
  }
}

// --- Gradients ----------------------------------------------------------------------------------------------------------

interface Gradients {
  readonly dX: DlArray
  readonly dOffset: DlArray
  readonly dScale: DlArray
}

/** What the gradients of a normalization are computed from. */
export interface NormalizationContext {
  readonly gradient: DlArray
  readonly saved: { readonly X: DlArray; readonly scale: DlArray; readonly statistics: DlArray }
  readonly inputs: { readonly offset: ArrayInfo; readonly scale: ArrayInfo }
  readonly plan: NormalizationPlan
  readonly recording: boolean
  readonly shared: <T>(compute: () => T) => T
}

/** All three gradients: in one fused pass, or of differentiable operations when they will be differentiated again. */
export function normalizationGradients(context: NormalizationContext): Gradients {
  return context.shared(() => {
    if (context.recording) return composedGradients(context)
    const { X, scale, statistics } = context.saved
    const waiting = waitingScale(context.gradient)
    const run = (dY: DlArray, scale: DlArray) =>
      normalizationGradientOperation.runAll({ dY, X, scale, statistics }, { plan: context.plan })
    const perChannel = (gradient: DlArray, target: ArrayInfo) =>
      shapedLike(waiting ? timesOperation.run({ A: gradient, B: waiting.factor }) : gradient, target)
    // All three are linear in dY, that of X in dY times scale: a number that waits before dY goes to scale instead.
    const { dX, dOffset, dScale } = waiting
      ? run(waiting.array, timesOperation.run({ A: scale, B: waiting.factor }))
      : run(context.gradient, scale)
    const { inputs } = context
    return { dX, dOffset: perChannel(dOffset, inputs.offset), dScale: perChannel(dScale, inputs.scale) }
  })
}

/** The two parts of an array that is not written yet, being the product of another and a number. */
function waitingScale({ storage, size, dims, type }: DlArray): { array: DlArray; factor: DlArray } | undefined {
  const [a, b] = storage.product?.factors ?? []
  const [whole, single] = a?.length === 1 ? [b, a] : [a, b]
  if (whole?.length !== storage.length || single?.length !== 1) return undefined
  return { array: makeArray(whole, size, dims, type), factor: makeArray(single, [1, 1], '', type) }
}

/** An array with a dimension for the elements, channels and observations that belong together, and for those that do not. */
interface View {
  readonly size: readonly number[]
  /** The dimensions of a group, from 1. */
  readonly group: readonly number[]
  /** The size in which a number for each channel, or each group of batch normalization, meets it. */
  readonly parameter: readonly number[]
  readonly rest: readonly number[]
  /** Elements of a group. */
  readonly count: number
}

function viewOf({ inner, channels, observations, outer, groupChannels, positions }: NormalizationPlan): View {
  const groups = channels / groupChannels
  return {
    size:
      positions > 1
        ? [positions, groupChannels, groups, observations / positions]
        : [inner, groupChannels, groups, observations, outer],
    group: positions > 1 ? [2] : [1, 2, 5],
    parameter: [1, groupChannels, groups],
    rest: [1, 4, 5],
    count: inner * groupChannels * outer,
  }
}

/** X without its mean and the deviation of each group, differentiable, under the sizes of the view. */
function standardized(X: DlArray, plan: NormalizationPlan) {
  const view = viewOf(plan)
  const mean = (array: DlArray) => scaled(sumOperation.run({ X: array }, { over: view.group }), 1 / view.count)
  const seen = viewed(X, view.size)
  const centred = minusOperation.run({ A: seen, B: mean(seen) })
  const variance = mean(timesOperation.run({ A: centred, B: centred }))
  const deviation = sqrtOperation.run({
    X: plusOperation.run({ A: variance, B: scalar(plan.epsilon, X.underlyingType) }),
  })
  return { view, mean, centred, deviation }
}

/**
 * With xhat = (x - mean) / deviation and g = scale * dy:
 * dx = (g - mean(g) - xhat * mean(g * xhat)) / deviation, dscale = sum(dy * xhat), doffset = sum(dy).
 * Source: Ulyanov, Vedaldi, Lempitsky, "Instance Normalization", 2016; derivative as for batch normalization (Ioffe, Szegedy, 2015).
 */
function composedGradients({ gradient, saved, inputs, plan }: NormalizationContext): Gradients {
  const { X } = saved
  const { view, mean, centred, deviation } = standardized(X, plan)
  const times = (A: DlArray, B: DlArray) => timesOperation.run({ A, B })
  const minus = (A: DlArray, B: DlArray) => minusOperation.run({ A, B })
  const xhat = rdivideOperation.run({ A: centred, B: deviation })
  const dY = viewed(gradient, view.size)
  const g = times(dY, viewed(saved.scale, view.parameter))
  const dX = rdivideOperation.run({ A: minus(minus(g, mean(g)), times(xhat, mean(times(g, xhat)))), B: deviation })
  const perChannel = (array: DlArray, target: ArrayInfo) =>
    shapedLike(sumOperation.run({ X: array }, { over: view.rest }), target)
  return {
    dX: relabelOperation.run({ X: dX }, { size: X.size, dims: X.dims }),
    dOffset: perChannel(dY, inputs.offset),
    dScale: perChannel(times(dY, xhat), inputs.scale),
  }
}

/** What the gradients with respect to mean and variance of each channel add to that with respect to X; differentiable. */
export function momentGradient(
  X: DlArray,
  dMean: DlArray | undefined,
  dVariance: DlArray | undefined,
  plan: NormalizationPlan,
): DlArray {
  const { view, centred } = standardized(X, plan)
  const share = (gradient: DlArray, factor: number) => scaled(viewed(gradient, view.parameter), factor / view.count)
  const parts = [
    // of the size of X, also where there is a part of the mean alone
    timesOperation.run({ A: centred, B: dVariance ? share(dVariance, 2) : scalar(0, X.underlyingType) }),
    ...(dMean ? [share(dMean, 1)] : []),
  ]
  const total = parts.reduce((A, B) => plusOperation.run({ A, B }))
  return relabelOperation.run({ X: total }, { size: X.size, dims: X.dims })
}

function viewed(array: DlArray, size: readonly number[]): DlArray {
  return relabelOperation.run({ X: array }, { size, dims: '' })
}

export function shapedLike(array: DlArray, target: ArrayInfo): DlArray {
  return relabelOperation.run({ X: array }, { size: target.size, dims: target.dims })
}

const noPlan: NormalizationPlan = {
  inner: 1,
  channels: 1,
  observations: 1,
  outer: 1,
  groupChannels: 1,
  positions: 1,
  epsilon: 1e-5,
}

/** The three gradients in one pass over x and dy. Not differentiable itself: see {@link composedGradients}. */
export const normalizationGradientOperation = operation({
  name: 'normalizationGradient',
  inputs: ['dY', 'X', 'scale', 'statistics'],
  outputs: ['dX', 'dOffset', 'dScale'],
  options: { plan: noPlan },
  rule({ X, scale }, { plan }) {
    const perChannel = { size: [plan.channels, 1], dims: 'CU', type: resultType([scale]) }
    return { outputs: [X, perChannel, perChannel], plan }
  },
  saves: [],
  gradient: { dY: null, X: null, scale: null, statistics: null },
  kernels: {
    reference({ inputs: { dY, X, scale }, outputs: { dX, dOffset, dScale }, plan }) {
      const count = plan.inner * plan.groupChannels * plan.outer
      const offsets = new Float64Array(plan.channels)
      const scales = new Float64Array(plan.channels)
      for (let group = 0; group < groupCount(plan); group++) {
        const { mu, inverse } = measured(X, plan, group)
        let sumGradient = 0
        let sumProduct = 0
        eachOfGroup(plan, group, (i, c) => {
          const xhat = (X[i]! - mu) * inverse
          sumGradient += scale[c]! * dY[i]!
          sumProduct += scale[c]! * dY[i]! * xhat
          offsets[c]! += dY[i]!
          scales[c]! += dY[i]! * xhat
        })
        eachOfGroup(plan, group, (i, c) => {
          const xhat = (X[i]! - mu) * inverse
          dX[i] = inverse * (scale[c]! * dY[i]! - sumGradient / count - (xhat * sumProduct) / count)
        })
      }
      dOffset.set(offsets)
      dScale.set(scales)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      const { dY: dy, X: x, scale, statistics } = inputs
      const { dX: dx, dOffset: doffset, dScale: dscale } = outputs
      launchGroupedGradient(wasm, { x, dy, dx, scale, statistics, dscale, doffset }, plan)
    },
  },
  samples: () => [],
})
