import type { DlArray } from '../../array/dlarray.js'
import { numel } from '../../array/format.js'
import { call, type DataFormatOption } from '../call.js'
import { operation } from '../operation.js'
import { launchGradient, launchUnary } from './unary.js'

export const reluOperation = operation({
  name: 'relu',
  inputs: ['X'],
  outputs: ['Y'],
  options: {},
  rule: ({ X }) => ({ outputs: [X], plan: { count: numel(X.size) } }),
  saves: ['Y'],
  gradient: { X: ({ gradient, saved }) => reluGradientOperation.run({ dY: gradient, Y: saved.Y }) },
  kernels: {
    reference({ inputs: { X }, outputs: { Y } }) {
      for (let i = 0; i < X.length; i++) Y[i] = X[i]! < 0 ? 0 : X[i]!
    },
    wasm({ inputs, outputs, plan, wasm }) {
      launchUnary(wasm, 'relu', inputs.X, outputs.Y, plan.count)
    },
  },
  samples: () => [{ inputs: { X: { size: [3, 5, 2, 3], format: 'SSCB' } } }, { inputs: { X: { size: [1, 1] } } }],
})

/** dX = dY where Y > 0, else 0. Linear in dY; flat in Y. */
export const reluGradientOperation = operation({
  name: 'reluGradient',
  inputs: ['dY', 'Y'],
  outputs: ['dX'],
  options: {},
  rule: ({ dY }) => ({ outputs: [dY], plan: { count: numel(dY.size) } }),
  saves: ['Y'],
  gradient: { dY: ({ gradient, saved }): DlArray => reluGradientOperation.run({ dY: gradient, Y: saved.Y }), Y: null },
  kernels: {
    reference({ inputs: { dY, Y }, outputs: { dX } }) {
      for (let i = 0; i < dX.length; i++) dX[i] = Y[i]! > 0 ? dY[i]! : 0
    },
    wasm({ inputs: { dY: dy, Y: saved }, outputs: { dX: dx }, plan, wasm }) {
      launchGradient(wasm, 'relu', { dy, saved, dx }, plan.count)
    },
  },
  samples: () => [{ inputs: { dY: { size: [3, 5], format: 'CB' }, Y: { size: [3, 5], format: 'CB' } } }],
})

/**
 * Rectified linear unit: max(0, x), element by element; NaN stays NaN. Any format, kept.
 *
 * Source: MATLAB, `relu`.
 */
export function relu<F extends string>(X: DlArray<F>, options?: DataFormatOption): DlArray<F> {
  return call(reluOperation, { X }, options) as DlArray<F>
}
