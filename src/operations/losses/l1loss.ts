import type { DlArray } from '../../array/dlarray.js'
import { checkLossOptions, type LossOptions, labelledPredictions, matchedTargets, reducedLoss } from './loss-options.js'

/**
 * Absolute loss, `1/N * sum(abs(Y - T))`, where N is the extent of B (see `normalizationFactor`). Its derivative is 0 at 0.
 *
 * `Y` and `T` have the same size; `Y` is formatted, or unformatted with `dataFormat`. By default an unformatted scalar.
 *
 * Errors: a {@link DimensionError} when sizes differ, an {@link OptionError} for options. Source: MATLAB, `l1loss`.
 */
export function l1loss(Y: DlArray, T: DlArray, options?: LossOptions & { readonly reduction?: 'sum' }): DlArray<''>
export function l1loss(Y: DlArray, T: DlArray, options?: LossOptions): DlArray
export function l1loss(Y: DlArray, T: DlArray, options: LossOptions = {}): DlArray {
  checkLossOptions('l1loss', options, {})
  const labelled = labelledPredictions('l1loss', Y, options)
  const matched = { Y: labelled, T: matchedTargets('l1loss', labelled, T, options) }
  return reducedLoss('l1loss', matched, { term: 'absolute' }, options)
}
