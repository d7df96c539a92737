import type { DlArray } from '../../array/dlarray.js'
import { call, type DataFormatOption, type Operand } from '../call.js'
import { normalizationInputs, normalizationOperation } from './normalization-operation.js'

/**
 * Normalizes each channel of each observation over its S, T and U dimensions; also gives the numbers that describe a plane,
 * unless planes are tiny.
 */
export const instancenormOperation = normalizationOperation({
  name: 'instancenorm',
  options: { epsilon: 1e-5 },
  sparesStatistics: true,
  groups: (layout) => ({ ...layout, groupChannels: 1, positions: 1 }),
  samples: () => [
    { inputs: normalizationInputs([5, 3, 4, 2], 'SSCB', 4) },
    { inputs: normalizationInputs([5, 3, 4, 2], 'SSCB', 4), options: { epsilon: 0.1 } },
    { inputs: normalizationInputs([6, 3, 2], 'SCB', 3) },
    { inputs: normalizationInputs([3, 2, 7], 'CBT', 3) },
    { inputs: normalizationInputs([4, 3, 2, 5], 'SCBT', 3) },
    { inputs: normalizationInputs([2, 3, 2, 3, 2, 2], 'SSSCBT', 3) },
    { inputs: normalizationInputs([4, 2, 3], 'SCU', 2) },
    { inputs: normalizationInputs([7, 3], 'SC', 3) },
    { inputs: normalizationInputs([3, 4], 'CB', 3) },
    { inputs: normalizationInputs([1, 1, 3, 2], 'SSCB', 3) },
  ],
})

/**
 * Instance normalization: normalizes each channel of each observation over its S, T and U dimensions, then scales and shifts,
 * y = scale * (x - mean) / sqrt(variance + epsilon) + offset, with the biased variance. Mind the order: offset first.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `X` | any format with C; the result has the same format. Unformatted with `dataFormat` |
 * | `offset`, `scale` | one element per channel: an array without labels along one dimension or labelled C, or a list |
 * | `epsilon` | positive, added to the variance; default 1e-5 |
 * | `dataFormat` | labels of an unformatted `X`; the result is unformatted in the same order |
 *
 * With nothing to reduce (`CB`, or planes of one element) the result is `offset`. Errors: a {@link DimensionError} without C
 * or with parameters of another length, an {@link OptionError} for epsilon. Source: MATLAB, `instancenorm`.
 */
export function instancenorm<F extends string>(
  X: DlArray<F>,
  offset: Operand,
  scale: Operand,
  options: { readonly epsilon?: number } & DataFormatOption = {},
): DlArray<F> {
  return call(instancenormOperation, { X, offset, scale }, options) as DlArray<F>
}
