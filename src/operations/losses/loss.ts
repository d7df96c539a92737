import type { ArrayInfo, DlArray, UnderlyingType } from '../../array/dlarray.js'
import { describe, numel } from '../../array/format.js'
import type { Elements } from '../../array/storage.js'
import { DimensionError } from '../../errors.js'
import { timesOperation } from '../elementwise/arithmetic.js'
import { type GradientContext, operation, resultType, type Sample } from '../operation.js'
import { sameSize } from '../reductions/sum.js'

// Losses that add up a term l(y, t) over all elements. The terms and their derivatives of any order are one family of
// kernels (kernels/losses/loss.ts), so that the gradient of a loss can be differentiated as often as one likes.

/** A term l(y, t), or with orders its derivative, for one prediction and one target. */
type Term = (y: number, t: number, orderY: number, orderT: number, bound: number, transition: number) => number

/** The terms, in the order of the kernels' codes. */
const terms = { crossentropy, binarycrossentropy, squared, absolute, huber } as const

export type LossTerm = keyof typeof terms

/**
 * The smallest probability that a loss distinguishes from zero. Its square and its inverse's square are still numbers, so
 * that a prediction of 0 gives a large finite loss, gradient and second derivative.
 */
export function probabilityBound(type: UnderlyingType): number {
  return type === 'double' ? 2 ** -500 : 2 ** -60
}

/** The derivative of order n >= 1 of -log p: (-1)^n (n-1)! / p^n. */
function logarithmSlope(p: number, n: number): number {
  let value = -1 / p
  for (let k = 1; k < n; k++) value *= -k / p
  return value
}

function crossentropy(y: number, t: number, orderY: number, orderT: number, bound: number): number {
  if (orderT > 1) return 0
  const p = Math.max(y, bound)
  const inP = orderY === 0 ? -Math.log(p) : logarithmSlope(p, orderY)
  return orderT === 0 ? t * inP : inP
}

function binarycrossentropy(y: number, t: number, orderY: number, orderT: number, bound: number): number {
  if (orderT > 1) return 0
  const p = Math.max(y, bound)
  const q = Math.max(1 - y, bound)
  const inP = orderY === 0 ? -Math.log(p) : logarithmSlope(p, orderY)
  const inQ = orderY === 0 ? -Math.log(q) : logarithmSlope(q, orderY) * (-1) ** orderY
  return orderT === 1 ? inP - inQ : t * inP + (1 - t) * inQ
}

function squared(y: number, t: number, orderY: number, orderT: number): number {
  const d = y - t
  const value = [d * d, 2 * d, 2][orderY + orderT] ?? 0
  return value * (-1) ** orderT
}

function absolute(y: number, t: number, orderY: number, orderT: number): number {
  const d = y - t
  const value = [Math.abs(d), Math.sign(d)][orderY + orderT] ?? 0
  return value * (-1) ** orderT
}

function huber(y: number, t: number, orderY: number, orderT: number, _bound: number, transition: number): number {
  const d = y - t
  const near = Math.abs(d) <= transition
  const order = orderY + orderT
  let value = 0
  if (order === 0) value = near ? 0.5 * d * d : transition * (Math.abs(d) - 0.5 * transition)
  else if (order === 1) value = near ? d : transition * Math.sign(d)
  else if (order === 2) value = near ? 1 : 0
  return value * (-1) ** orderT
}

interface TermOptions {
  readonly term: LossTerm
  /** What the terms, or their sum, are multiplied by. */
  readonly factor: number
  /** Where Huber's term turns from a square into a line. */
  readonly transitionPoint: number
}

/** Which derivative of the term. */
interface Orders {
  readonly orderY: number
  readonly orderT: number
}

interface LossPlan extends TermOptions, Orders {
  readonly count: number
  readonly bound: number
}

function lossPlan(Y: ArrayInfo, T: ArrayInfo, options: TermOptions, orders: Orders): LossPlan {
  if (!sameSize(T.size, Y.size))
    throw new DimensionError({
      call: options.term,
      expects: `targets of the size of the predictions, ${describe(Y)}`,
      got: describe(T),
      remedy: 'Give one target for each prediction.',
    })
  return { ...options, ...orders, count: numel(Y.size), bound: probabilityBound(resultType([Y, T])) }
}

function eachTerm(Y: Elements, T: Elements, plan: LossPlan, visit: (value: number, i: number) => void): void {
  const term: Term = terms[plan.term]
  for (let i = 0; i < Y.length; i++)
    visit(term(Y[i]!, T[i]!, plan.orderY, plan.orderT, plan.bound, plan.transitionPoint), i)
}

/** Elements of a part of a sum, fixed in the kernel. */
const PART = 4096
/** Elements that are worth waking a thread for. */
const GRAIN = 8192

interface Addresses {
  readonly Y: number
  readonly T: number
  readonly result: number
  readonly upstream?: number
  readonly upstreamStep?: number
}

function block(at: Addresses, plan: LossPlan) {
  return {
    y: at.Y,
    t: at.T,
    result: at.result,
    upstream: at.upstream ?? 0,
    upstreamStep: at.upstreamStep ?? 0,
    partials: 0,
    count: plan.count,
    code: Object.keys(terms).indexOf(plan.term),
    orderY: plan.orderY,
    orderT: plan.orderT,
    bound: plan.bound,
    transition: plan.transitionPoint,
    factor: plan.factor,
  }
}

type Context = GradientContext<'Y' | 'T', never, string, TermOptions & Partial<Orders>, LossPlan, 'Y' | 'T'>

/** One more derivative, times what flows in: in one pass, or of differentiable operations to be differentiated again. */
function slope({ gradient, saved: { Y, T }, options, plan, recording }: Context, of: 'Y' | 'T'): DlArray {
  const orders = { orderY: plan.orderY + (of === 'Y' ? 1 : 0), orderT: plan.orderT + (of === 'T' ? 1 : 0) }
  const one = { ...options, ...orders }
  if (!recording) return lossGradientOperation.run({ Y, T, upstream: gradient }, one)
  return timesOperation.run({ A: lossTermOperation.run({ Y, T }, one), B: gradient })
}

const termOptions: TermOptions = { term: 'crossentropy', factor: 1, transitionPoint: 1 }

/** L = factor * l(Y, T) element by element, or a derivative of it, with the labels of Y. */
export const lossTermOperation = operation({
  name: 'lossTerm',
  inputs: ['Y', 'T'],
  outputs: ['L'],
  options: { ...termOptions, orderY: 0, orderT: 0 } as TermOptions & Orders,
  rule: ({ Y, T }, options) => ({
    outputs: [{ size: Y.size, dims: Y.dims, type: resultType([Y, T]) }],
    plan: lossPlan(Y, T, options, options),
  }),
  saves: ['Y', 'T'],
  gradient: { Y: (context): DlArray => slope(context, 'Y'), T: (context): DlArray => slope(context, 'T') },
  kernels: {
    reference({ inputs: { Y, T }, outputs: { L }, plan }) {
      eachTerm(Y, T, plan, (value, i) => {
        L[i] = plan.factor * value
      })
    },
    wasm({ inputs: { Y, T }, outputs: { L }, plan, wasm }) {
      wasm.launch('lossTerm', block({ Y, T, result: L }, plan), { items: plan.count, grain: GRAIN })
    },
  },
  samples: () => [
    ...termNames.flatMap((term) => [
      termSample(term, [3, 2, 4, 2], 'SSCB', { factor: 0.25 }),
      termSample(term, [5, 7], 'CB', { orderY: 1 }),
      termSample(term, [5, 7], '', { orderT: 1 }),
      termSample(term, [1, 1], '', { orderY: 1, orderT: 1 }),
      termSample(term, [9, 2], 'CB', { orderY: 2 }),
    ]),
    termSample('huber', [6, 3], 'CB', { transitionPoint: 0.25 }),
    termSample('huber', [6, 3], 'CB', { transitionPoint: 0.25, orderY: 1 }),
    termSample('squared', [0, 3], '', {}),
  ],
})

/** loss = factor * sum(l(Y, T)), an unformatted scalar. */
export const lossSumOperation = operation({
  name: 'lossSum',
  inputs: ['Y', 'T'],
  outputs: ['loss'],
  options: termOptions,
  rule: ({ Y, T }, options) => ({
    outputs: [{ size: [1, 1], dims: '', type: resultType([Y, T]) }],
    plan: lossPlan(Y, T, options, { orderY: 0, orderT: 0 }),
  }),
  saves: ['Y', 'T'],
  gradient: { Y: (context): DlArray => slope(context, 'Y'), T: (context): DlArray => slope(context, 'T') },
  kernels: {
    reference({ inputs: { Y, T }, outputs: { loss }, plan }) {
      let total = 0
      eachTerm(Y, T, plan, (value) => {
        total += value
      })
      loss[0] = plan.factor * total
    },
    wasm({ inputs: { Y, T }, outputs: { loss }, plan, wasm }) {
      const parts = Math.ceil(plan.count / PART)
      wasm.withTemporary(Math.max(8 * parts, 8), (partials) => {
        const all = { ...block({ Y, T, result: loss }, plan), partials }
        wasm.launch('lossSum', all, { items: parts, grain: 2 })
        wasm.launch('lossJoin', all, { items: 1 })
      })
    },
  },
  samples: () => [
    ...termNames.flatMap((term) => [termSample(term, [5, 7], 'CB', {}), termSample(term, [1, 1], '', {})]),
    termSample('squared', [3, 2, 4, 2], 'SSCB', { factor: 0.01 }),
    termSample('huber', [6, 3], 'CB', { transitionPoint: 0.25 }),
    termSample('absolute', [0, 3], '', {}),
  ],
})

/**
 * upstream times the derivative of the term, in one pass; `upstream` is a scalar or has the size of Y. Not differentiable
 * itself: gradients that are differentiated again are products with {@link lossTermOperation}.
 */
export const lossGradientOperation = operation({
  name: 'lossGradient',
  inputs: ['Y', 'T', 'upstream'],
  outputs: ['gradient'],
  options: { ...termOptions, orderY: 1, orderT: 0 } as TermOptions & Orders,
  rule({ Y, T, upstream }, options) {
    const isScalar = numel(upstream.size) === 1
    if (!isScalar && !sameSize(upstream.size, Y.size))
      throw new DimensionError({
        call: 'lossGradient',
        expects: `a scalar or ${describe(Y)}`,
        got: describe(upstream),
        remedy: 'Give the gradient of the loss.',
      })
    return {
      outputs: [{ size: Y.size, dims: Y.dims, type: resultType([Y, T, upstream]) }],
      plan: { ...lossPlan(Y, T, options, options), upstreamStep: isScalar ? 0 : 1 },
    }
  },
  saves: [],
  gradient: { Y: null, T: null, upstream: null },
  kernels: {
    reference({ inputs: { Y, T, upstream }, outputs: { gradient }, plan }) {
      eachTerm(Y, T, plan, (value, i) => {
        gradient[i] = plan.factor * value * upstream[i * plan.upstreamStep]!
      })
    },
    wasm({ inputs: { Y, T, upstream }, outputs: { gradient }, plan, wasm }) {
      const { upstreamStep } = plan
      const all = block({ Y, T, result: gradient, upstream, upstreamStep }, plan)
      wasm.launch('lossGradient', all, { items: plan.count, grain: GRAIN })
    },
  },
  samples: () =>
    termNames.flatMap((term) => {
      const { inputs, options } = termSample(term, [5, 7], 'CB', { factor: 0.5, orderY: 1 })
      return [
        { inputs: { ...inputs, upstream: { size: [5, 7], format: 'CB' } }, options },
        { inputs: { ...inputs, upstream: { size: [1, 1] } }, options: { ...options, orderY: 0, orderT: 1 } },
      ]
    }),
})

const termNames = Object.keys(terms) as LossTerm[]

/** Predictions and targets that stay away from the corners of the term. */
function termSample(
  term: LossTerm,
  size: readonly number[],
  format: string,
  options: Partial<TermOptions & Orders>,
): Sample<'Y' | 'T', TermOptions & Orders> {
  const isProbability = term === 'crossentropy' || term === 'binarycrossentropy'
  // Fractions of multiples of the golden ratio: well spread, and never equal.
  const spread = (i: number, by: number) => (i * by + by) % 1
  return {
    inputs: {
      Y: {
        size,
        format: format || undefined,
        values: (i) => (isProbability ? 0.05 + 0.9 * spread(i, 0.618) : 3 * spread(i, 0.618) - 1.5),
      },
      T: {
        size,
        format: format || undefined,
        values: (i) => (isProbability ? spread(i, 0.347) : 3 * spread(i, 0.347) - 1.52),
      },
    },
    options: { term, ...options },
  }
}
