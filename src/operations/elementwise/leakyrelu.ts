import type { DlArray } from '../../array/dlarray.js'
import { numel } from '../../array/format.js'
import { asText, OptionError } from '../../errors.js'
import { call, type DataFormatOption, scalar } from '../call.js'
import { type GradientRule, operation } from '../operation.js'
import { minOperation } from '../reductions/extremum.js'
import { plusOperation, scaled, timesOperation } from './arithmetic.js'
import { geOperation, ltOperation } from './comparison.js'
import { elementwiseGradient } from './elementwise-gradient.js'
import { expOperation } from './exponential.js'
import { launchUnary, type UnaryFunction } from './unary.js'

// Rectifiers with a number: a slope, a ceiling, alpha.

interface RectifierPlan {
  readonly count: number
  readonly first: number
  readonly second: number
}

type Rule<O> = GradientRule<'X', never, 'Y', O, RectifierPlan, 'X'>

interface Rectifier<O extends object> {
  readonly name: string
  readonly kernel: UnaryFunction
  readonly options: O
  /** Checks the options and gives the numbers that the kernel takes. */
  readonly numbers: (options: O) => { readonly first: number; readonly second: number }
  readonly value: (x: number, first: number, second: number) => number
  readonly gradient: Rule<O>
  /** Options other than the defaults. */
  readonly other: Partial<O>
}

function rectifier<O extends object>({ name, kernel, options, numbers, value, gradient, other }: Rectifier<O>) {
  return operation({
    name,
    inputs: ['X'],
    outputs: ['Y'],
    options,
    rule: ({ X }, given) => ({
      outputs: [{ ...X, type: X.type === 'logical' ? 'single' : X.type }],
      plan: { count: numel(X.size), ...numbers(given) },
    }),
    saves: ['X'],
    gradient: { X: gradient },
    kernels: {
      reference({ inputs: { X }, outputs: { Y }, plan: { first, second } }) {
        for (let i = 0; i < X.length; i++) Y[i] = value(X[i]!, first, second)
      },
      wasm({ inputs, outputs, plan: { count, first, second }, wasm }) {
        launchUnary(wasm, kernel, inputs.X, outputs.Y, count, first, second)
      },
    },
    samples: () => [
      { inputs: { X: { size: [3, 5, 2], format: 'SCB' } } },
      { inputs: { X: { size: [7, 3] } }, options: other },
      { inputs: { X: { size: [0, 3] } } },
    ],
  })
}

function finite(value: number, call: string, name: string): number {
  if (Number.isFinite(value)) return value
  throw new OptionError({
    call,
    expects: `a finite number for ${name}`,
    got: asText(value),
    remedy: `Leave ${name} out for the default.`,
  })
}

export const leakyreluGradientOperation = elementwiseGradient('leakyreluGradient', 'leakyRelu', (dy, x, scale) =>
  x < 0 ? dy * scale : dy,
)

export const leakyreluOperation = rectifier({
  name: 'leakyrelu',
  kernel: 'leakyRelu',
  options: { scale: 0.01 },
  numbers: ({ scale }) => ({ first: finite(scale, 'leakyrelu', 'scale'), second: 0 }),
  value: (x, scale) => (x < 0 ? scale * x : x),
  gradient: ({ gradient, saved, plan: { first, second } }) =>
    leakyreluGradientOperation.run({ dY: gradient, saved: saved.X }, { first, second }),
  other: { scale: 0.3 },
})

export const clippedreluGradientOperation = elementwiseGradient('clippedreluGradient', 'clip', (dy, x, lower, upper) =>
  x > lower && x < upper ? dy : 0,
)

export const clippedreluOperation = rectifier({
  name: 'clippedrelu',
  kernel: 'clip',
  options: { ceiling: 6 },
  numbers({ ceiling }) {
    if (finite(ceiling, 'clippedrelu', 'ceiling') > 0) return { first: 0, second: ceiling }
    throw new OptionError({
      call: 'clippedrelu',
      expects: 'a ceiling above 0',
      got: asText(ceiling),
      remedy: 'Elements are clipped to 0 ... ceiling.',
    })
  },
  value: (x, lower, upper) => Math.min(Math.max(x, lower), upper),
  gradient: ({ gradient, saved, plan: { first, second } }) =>
    clippedreluGradientOperation.run({ dY: gradient, saved: saved.X }, { first, second }),
  other: { ceiling: 0.5 },
})

export const eluGradientOperation = elementwiseGradient('eluGradient', 'elu', (dy, x, alpha) =>
  x < 0 ? dy * (alpha * Math.exp(x)) : dy,
)

export const eluOperation = rectifier({
  name: 'elu',
  kernel: 'elu',
  options: { alpha: 1 },
  numbers: ({ alpha }) => ({ first: finite(alpha, 'elu', 'alpha'), second: 0 }),
  value: (x, alpha) => (x < 0 ? alpha * Math.expm1(x) : x),
  gradient({ gradient, saved: { X }, recording, plan: { first, second } }) {
    if (!recording) return eluGradientOperation.run({ dY: gradient, saved: X }, { first, second })
    // 1 or alpha e^x; the exponential of min(x, 0), so that large elements do not make it infinite
    const zero = scalar(0, X.underlyingType)
    const curve = scaled(expOperation.run({ X: minOperation.run({ A: X, B: zero }) }), first)
    const slope = plusOperation.run({
      A: geOperation.run({ A: X, B: zero }),
      B: timesOperation.run({ A: ltOperation.run({ A: X, B: zero }), B: curve }),
    })
    return timesOperation.run({ A: gradient, B: slope })
  },
  other: { alpha: 0.3 },
})

/** x, or scale * x for negative elements. Any format, kept. Source: MATLAB, `leakyrelu` (scale 0.01 by default). */
export function leakyrelu<F extends string>(X: DlArray<F>, scale = 0.01, options?: DataFormatOption): DlArray<F> {
  return call(leakyreluOperation, { X }, { ...options, scale }) as DlArray<F>
}

/** min(max(x, 0), ceiling), element by element. Any format, kept. Source: MATLAB, `clippedReluLayer`. */
export function clippedrelu<F extends string>(X: DlArray<F>, ceiling: number): DlArray<F> {
  return call(clippedreluOperation, { X }, { ceiling }) as DlArray<F>
}

/** x, or alpha (e^x - 1) for negative elements. Any format, kept. Source: MATLAB, `eluLayer` (alpha 1 by default). */
export function elu<F extends string>(X: DlArray<F>, alpha = 1): DlArray<F> {
  return call(eluOperation, { X }, { alpha }) as DlArray<F>
}
