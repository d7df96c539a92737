import type { DlArray } from '../../array/dlarray.js'
import { call } from '../call.js'
import { elementwiseGradient } from './elementwise-gradient.js'
import { unaryOperation } from './unary.js'

// Functions that are flat between their steps, and the absolute value, whose derivative is one of them.

export const floorOperation = unaryOperation({
  name: 'floor',
  kernel: 'floor',
  value: Math.floor,
  saves: [],
  gradient: null,
})

export const ceilOperation = unaryOperation({
  name: 'ceil',
  kernel: 'ceil',
  value: Math.ceil,
  saves: [],
  gradient: null,
})

export const fixOperation = unaryOperation({ name: 'fix', kernel: 'fix', value: Math.trunc, saves: [], gradient: null })

export const roundOperation = unaryOperation({
  name: 'round',
  kernel: 'round',
  // halves go away from zero
  value: (x) => {
    const whole = Math.trunc(x)
    return Math.abs(x - whole) >= 0.5 ? whole + Math.sign(x) : whole
  },
  saves: [],
  gradient: null,
})

export const signOperation = unaryOperation({
  name: 'sign',
  kernel: 'sign',
  value: Math.sign,
  saves: [],
  gradient: null,
})

export const absGradientOperation = elementwiseGradient('absGradient', 'abs', (dy, x) =>
  x === 0 ? 0 : x < 0 ? -dy : dy,
)

export const absOperation = unaryOperation({
  name: 'abs',
  kernel: 'abs',
  value: Math.abs,
  saves: ['X'],
  gradient: ({ gradient, saved }) => absGradientOperation.run({ dY: gradient, saved: saved.X }),
})

/** Absolute value, element by element; its derivative at 0 is taken as 0. Source: MATLAB, `abs`. */
export function abs<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(absOperation, { X }) as DlArray<F>
}

/** -1, 0 or 1, element by element; not differentiated. Source: MATLAB, `sign`. */
export function sign<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(signOperation, { X }) as DlArray<F>
}

/** The nearest whole number below, element by element; not differentiated. Source: MATLAB, `floor`. */
export function floor<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(floorOperation, { X }) as DlArray<F>
}

/** The nearest whole number above, element by element; not differentiated. Source: MATLAB, `ceil`. */
export function ceil<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(ceilOperation, { X }) as DlArray<F>
}

/** The nearest whole number, halves away from zero; not differentiated. Source: MATLAB, `round`. */
export function round<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(roundOperation, { X }) as DlArray<F>
}

/** The whole number next to x towards zero; not differentiated. Source: MATLAB, `fix`. */
export function fix<F extends string>(X: DlArray<F>): DlArray<F> {
  return call(fixOperation, { X }) as DlArray<F>
}
