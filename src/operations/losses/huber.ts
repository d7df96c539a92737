import type { DlArray } from '../../array/dlarray.js'
import { OptionError } from '../../errors.js'
import { checkLossOptions, type LossOptions, labelledPredictions, matchedTargets, reducedLoss } from './loss-options.js'

/** Options of {@link huber}. */
export interface HuberOptions extends LossOptions {
  /** The difference at which the loss turns from a square into a line, positive. Default 1. */
  readonly transitionPoint?: number
}

/**
 * Huber loss (smooth absolute loss), `1/N * sum(h(Y - T))` with h(d) = d²/2 for |d| <= δ, else δ (|d| - δ/2), where δ is
 * `transitionPoint` and N the extent of B (see `normalizationFactor`).
 *
 * `Y` and `T` have the same size; `Y` is formatted, or unformatted with `dataFormat`. By default an unformatted scalar.
 *
 * Errors: a {@link DimensionError} when sizes differ, an {@link OptionError} for options. Source: MATLAB, `huber`;
 * Huber, "Robust Estimation of a Location Parameter", 1964.
 */
export function huber(Y: DlArray, T: DlArray, options?: HuberOptions & { readonly reduction?: 'sum' }): DlArray<''>
export function huber(Y: DlArray, T: DlArray, options?: HuberOptions): DlArray
export function huber(Y: DlArray, T: DlArray, options: HuberOptions = {}): DlArray {
  checkLossOptions('huber', options, { transitionPoint: [] })
  const { transitionPoint = 1, ...rest } = options
  if (!(transitionPoint > 0 && Number.isFinite(transitionPoint)))
    throw new OptionError({
      call: 'huber',
      expects: 'a positive finite transitionPoint',
      got: String(transitionPoint),
      remedy: 'The default is 1.',
    })
  const labelled = labelledPredictions('huber', Y, rest)
  const matched = { Y: labelled, T: matchedTargets('huber', labelled, T, rest) }
  return reducedLoss('huber', matched, { term: 'huber', transitionPoint }, rest)
}
