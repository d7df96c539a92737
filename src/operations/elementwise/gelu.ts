import type { DlArray } from '../../array/dlarray.js'
import { asText, checkOptionNames, OptionError } from '../../errors.js'
import { normalDensity, normalDistribution } from '../arrays/normal-distribution.js'
import { call, scalar } from '../call.js'
import { negated, plusOperation, scaled, timesOperation } from './arithmetic.js'
import { elementwiseGradient } from './elementwise-gradient.js'
import { tanhOperation } from './sigmoid.js'
import { unaryOperation } from './unary.js'

const times = (A: DlArray, B: DlArray) => timesOperation.run({ A, B })

/** Density of the standard normal distribution. */
export const normalDensityOperation = unaryOperation({
  name: 'normalDensity',
  kernel: 'normalDensity',
  value: normalDensity,
  saves: ['X', 'Y'],
  gradient: ({ gradient, saved: { X, Y } }) => negated(times(gradient, times(X, Y))),
})

/** Distribution function of the standard normal distribution. */
export const normalDistributionOperation = unaryOperation({
  name: 'normalDistribution',
  kernel: 'normalDistribution',
  value: normalDistribution,
  saves: ['X'],
  gradient: ({ gradient, saved: { X } }) => times(gradient, normalDensityOperation.run({ X })),
})

export const geluGradientOperation = elementwiseGradient(
  'geluGradient',
  'gelu',
  (dy, x) => dy * (normalDistribution(x) + (Math.abs(x) < 40 ? x * normalDensity(x) : 0 * x || 0)),
)

export const geluOperation = unaryOperation({
  name: 'gelu',
  kernel: 'gelu',
  value: (x) => (x < -40 ? 0 : x * normalDistribution(x)),
  saves: ['X'],
  gradient({ gradient, saved: { X }, recording }) {
    if (!recording) return geluGradientOperation.run({ dY: gradient, saved: X })
    const slope = plusOperation.run({
      A: normalDistributionOperation.run({ X }),
      B: times(X, normalDensityOperation.run({ X })),
    })
    return times(gradient, slope)
  },
})

/** Options of {@link gelu}. */
export interface GeluOptions {
  /** `'none'` (default) for the distribution function itself, `'tanh'` for its approximation by a hyperbolic tangent. */
  readonly approximation?: 'none' | 'tanh'
}

/**
 * Gaussian error linear unit: x Φ(x), element by element, with Φ the distribution function of the standard normal
 * distribution; or, with `approximation: 'tanh'`, x/2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³))). Any format, kept.
 *
 * Source: Hendrycks, Gimpel, "Gaussian Error Linear Units", 2016; MATLAB, `gelu`.
 */
export function gelu<F extends string>(X: DlArray<F>, options: GeluOptions = {}): DlArray<F> {
  checkOptionNames('gelu', options, ['approximation'])
  const { approximation = 'none' } = options
  if (approximation === 'none') return call(geluOperation, { X }) as DlArray<F>
  if (approximation !== 'tanh')
    throw new OptionError({
      call: 'gelu',
      expects: "approximation 'none' or 'tanh'",
      got: asText(approximation),
      remedy: 'Leave it out for the exact function.',
    })
  const cubed = times(X, times(X, X))
  const inner = scaled(plusOperation.run({ A: X, B: scaled(cubed, 0.044715) }), Math.sqrt(2 / Math.PI))
  const raised = plusOperation.run({ A: tanhOperation.run({ X: inner }), B: scalar(1, X.underlyingType) })
  return scaled(times(X, raised), 0.5) as DlArray<F>
}
