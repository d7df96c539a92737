import type { DlArray } from '../../array/dlarray.js'
import { channelLayout } from '../arrays/layout.js'
import { call, type DataFormatOption } from '../call.js'
import { minusOperation, timesOperation } from '../elementwise/arithmetic.js'
import { operation } from '../operation.js'
import { sumOperation } from './sum.js'

/** Softmax runs over the channels: [inner, channels, outer] in memory. */
interface SoftmaxPlan {
  readonly inner: number
  readonly channels: number
  readonly outer: number
}

/** Elements that a thread takes at once. */
const GRAIN = 4096

/** Calls `visit(address of channel 0)` for every position, channels being `inner` elements apart. */
function eachPosition({ inner, channels, outer }: SoftmaxPlan, visit: (first: number) => void): void {
  for (let o = 0; o < outer; o++) for (let i = 0; i < inner; i++) visit(i + inner * channels * o)
}

function work({ inner, channels, outer }: SoftmaxPlan) {
  return { items: inner * outer, grain: Math.max(1, Math.ceil(GRAIN / Math.max(channels, 1))) }
}

function planFor(X: { size: readonly number[]; dims: string; type: 'single' | 'double' | 'logical' }): SoftmaxPlan {
  const { inner, channels, observations, outer } = channelLayout(X, 'softmax')
  return { inner, channels, outer: observations * outer }
}

export const softmaxOperation = operation({
  name: 'softmax',
  inputs: ['X'],
  outputs: ['Y'],
  options: {},
  rule: ({ X }) => ({
    outputs: [{ ...X, type: X.type === 'logical' ? 'single' : X.type }],
    plan: planFor(X),
  }),
  saves: ['Y'],
  gradient: {
    X({ gradient, saved: { Y }, recording }): DlArray {
      if (!recording) return softmaxGradientOperation.run({ dY: gradient, Y })
      const weighted = timesOperation.run({ A: gradient, B: Y })
      const mean = sumOperation.run({ X: weighted }, { over: 'C' })
      return timesOperation.run({ A: Y, B: minusOperation.run({ A: gradient, B: mean }) })
    },
  },
  kernels: {
    reference({ inputs: { X }, outputs: { Y }, plan }) {
      const { inner, channels } = plan
      eachPosition(plan, (first) => {
        let most = Number.NEGATIVE_INFINITY
        for (let c = 0; c < channels; c++) most = Math.max(most, X[first + c * inner]!)
        let total = 0
        for (let c = 0; c < channels; c++) total += Math.exp(X[first + c * inner]! - most)
        for (let c = 0; c < channels; c++) Y[first + c * inner] = Math.exp(X[first + c * inner]! - most) / total
      })
    },
    wasm({ inputs, outputs, plan, wasm }) {
      const { inner, channels } = plan
      wasm.launch('softmax', { x: inputs.X, y: outputs.Y, dy: 0, dx: 0, inner, channels }, work(plan))
    },
  },
  samples: () => [
    { inputs: { X: { size: [10, 7], format: 'CB' } } },
    { inputs: { X: { size: [3, 2, 5, 2], format: 'SSCB' } } },
    { inputs: { X: { size: [3, 2, 5], format: 'CBT' } } },
    { inputs: { X: { size: [1, 3], format: 'CB' } } },
  ],
})

/** dX = Y (dY - sum over the channels of dY Y). Linear in dY; used where its result is not differentiated again. */
export const softmaxGradientOperation = operation({
  name: 'softmaxGradient',
  inputs: ['dY', 'Y'],
  outputs: ['dX'],
  options: {},
  rule: ({ dY }) => ({ outputs: [dY], plan: planFor(dY) }),
  saves: ['Y'],
  gradient: {
    dY: ({ gradient, saved: { Y } }): DlArray => softmaxGradientOperation.run({ dY: gradient, Y }),
    Y: null,
  },
  kernels: {
    reference({ inputs: { dY, Y }, outputs: { dX }, plan }) {
      const { inner, channels } = plan
      eachPosition(plan, (first) => {
        let mean = 0
        for (let c = 0; c < channels; c++) mean += dY[first + c * inner]! * Y[first + c * inner]!
        for (let c = 0; c < channels; c++) {
          const i = first + c * inner
          dX[i] = Y[i]! * (dY[i]! - mean)
        }
      })
    },
    wasm({ inputs, outputs, plan, wasm }) {
      const { inner, channels } = plan
      wasm.launch('softmaxGradient', { x: 0, y: inputs.Y, dy: inputs.dY, dx: outputs.dX, inner, channels }, work(plan))
    },
  },
  samples: () => [
    { inputs: { dY: { size: [10, 7], format: 'CB' }, Y: { size: [10, 7], format: 'CB' } } },
    { inputs: { dY: { size: [3, 2, 5, 2], format: 'SSCB' }, Y: { size: [3, 2, 5, 2], format: 'SSCB' } } },
  ],
})

/**
 * Softmax over the channels: y_c = e^(x_c) / sum of e^(x_k) over all channels k, separately for everything else; without
 * overflow. The format is kept.
 *
 * `X` needs a channel dimension (C), or `dataFormat` for an unformatted one. Errors: a {@link DimensionError} without C.
 * Source: MATLAB, `softmax`.
 */
export function softmax<F extends string>(X: DlArray<F>, options?: DataFormatOption): DlArray<F> {
  return call(softmaxOperation, { X }, options) as DlArray<F>
}
