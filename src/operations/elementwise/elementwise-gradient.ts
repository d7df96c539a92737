import type { DlArray } from '../../array/dlarray.js'
import { numel } from '../../array/format.js'
import { type Operation, operation } from '../operation.js'
import { type GradientFunction, launchGradient } from './unary.js'

/** The numbers of an element-wise function: a slope, the ends of an interval. */
export interface FunctionNumbers {
  readonly first: number
  readonly second: number
}

type ElementwiseGradient = Operation<'dY' | 'saved', never, 'dX', FunctionNumbers>

/**
 * dX = dY .* f'(saved) in one pass, where `saved` is the function's input or its result.
 *
 * Linear in dY. It has no derivative in `saved`: where f' is piecewise constant there is none, and elsewhere a rule uses it
 * only when its result is not differentiated again.
 */
export function elementwiseGradient(
  name: string,
  kernel: GradientFunction,
  value: (dy: number, saved: number, first: number, second: number) => number,
): ElementwiseGradient {
  const self: ElementwiseGradient = operation({
    name,
    inputs: ['dY', 'saved'],
    outputs: ['dX'],
    options: { first: 0, second: 0 } as FunctionNumbers,
    rule: ({ dY }, options) => ({ outputs: [dY], plan: { ...options, count: numel(dY.size) } }),
    saves: ['saved'],
    gradient: {
      dY: ({ gradient, saved, options }): DlArray => self.run({ dY: gradient, saved: saved.saved }, options),
      saved: null,
    },
    kernels: {
      reference({ inputs: { dY, saved }, outputs: { dX }, plan }) {
        for (let i = 0; i < dX.length; i++) dX[i] = value(dY[i]!, saved[i]!, plan.first, plan.second)
      },
      wasm({ inputs: { dY: dy, saved }, outputs: { dX: dx }, plan, wasm }) {
        launchGradient(wasm, kernel, { dy, saved, dx }, plan.count, plan.first, plan.second)
      },
    },
    samples: () =>
      [
        [3, 5, 2],
        [1, 1, 1],
        [0, 3, 1],
      ].map((size) => ({
        inputs: {
          dY: { size, format: 'SCB' },
          saved: { size, format: 'SCB', values: (i: number) => 0.1 + ((i * 7) % 5) / 6 },
        },
        options: { first: 0.2, second: 0.7 },
      })),
  })
  return self
}
