import type { DlArray } from '../../array/dlarray.js'
import { checkLossOptions, type LossOptions, labelledPredictions, matchedTargets, reducedLoss } from './loss-options.js'

/**
 * Squared loss, `1/N * sum((Y - T).^2)`, where N is the extent of B (see `normalizationFactor`). Twice {@link mse}.
 *
 * `Y` and `T` have the same size; `Y` is formatted, or unformatted with `dataFormat`. By default an unformatted scalar.
 *
 * Errors: a {@link DimensionError} when sizes differ, an {@link OptionError} for options. Source: MATLAB, `l2loss`.
 */
export function l2loss(Y: DlArray, T: DlArray, options?: LossOptions & { readonly reduction?: 'sum' }): DlArray<''>
export function l2loss(Y: DlArray, T: DlArray, options?: LossOptions): DlArray
export function l2loss(Y: DlArray, T: DlArray, options: LossOptions = {}): DlArray {
  checkLossOptions('l2loss', options, {})
  const labelled = labelledPredictions('l2loss', Y, options)
  const matched = { Y: labelled, T: matchedTargets('l2loss', labelled, T, options) }
  return reducedLoss('l2loss', matched, { term: 'squared' }, options)
}
