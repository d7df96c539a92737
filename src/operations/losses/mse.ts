import type { DlArray } from '../../array/dlarray.js'
import type { DataFormatOption } from '../call.js'
import { checkLossOptions, labelledPredictions, matchedTargets, reducedLoss } from './loss-options.js'

/**
 * Half mean squared error, `1/(2N) * sum((Y - T).^2)`, where N is the extent of B alone: the sum over all other dimensions is
 * not divided. An unformatted scalar. Half of {@link l2loss}.
 *
 * `Y` and `T` have the same size; `Y` is formatted, or unformatted with `dataFormat`.
 *
 * Errors: a {@link DimensionError} when sizes differ, an {@link OptionError} for options. Source: MATLAB, `mse` of dlarrays.
 */
export function mse(Y: DlArray, T: DlArray, options: DataFormatOption = {}): DlArray<''> {
  checkLossOptions('mse', options, {})
  const labelled = labelledPredictions('mse', Y, options)
  const matched = { Y: labelled, T: matchedTargets('mse', labelled, T, options) }
  return reducedLoss('mse', matched, { term: 'squared', factor: 0.5 }, options) as DlArray<''>
}
