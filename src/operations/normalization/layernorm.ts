import type { DlArray } from '../../array/dlarray.js'
import { OptionError } from '../../errors.js'
import type { ChannelLayout } from '../arrays/layout.js'
import { call, type DataFormatOption, type Operand } from '../call.js'
import { type Groups, normalizationInputs, normalizationOperation } from './normalization-operation.js'

/** The dimensions that layer normalization runs over: see {@link layernorm}. */
export const operationDimensions = ['auto', 'channel-only', 'spatial-channel', 'batch-excluded'] as const
/** What a mean and a variance of {@link layernorm} are taken over. */
export type OperationDimension = (typeof operationDimensions)[number]

function groupsOf(layout: ChannelLayout, operationDimension: OperationDimension, dims: string): Groups {
  const { inner, channels, observations, outer } = layout
  const groupChannels = Math.max(channels, 1)
  const whole = { ...layout, groupChannels, positions: 1 }
  switch (
    operationDimension === 'auto' ? (dims.includes('T') ? 'spatial-channel' : 'batch-excluded') : operationDimension
  ) {
    case 'batch-excluded':
      return whole
    case 'spatial-channel':
      return { ...whole, observations: observations * outer, outer: 1 }
    case 'channel-only':
      return { ...whole, inner: 1, observations: inner * observations * outer, outer: 1, positions: inner }
    default:
      throw new OptionError({
        call: 'layernorm',
        expects: `the operationDimension ${operationDimensions.map((one) => `'${one}'`).join(', ')}`,
        got: typeof operationDimension === 'string' ? `'${operationDimension as string}'` : String(operationDimension),
        remedy: "Leave it out for 'auto'.",
      })
  }
}

/** Normalizes each observation over C and other dimensions. */
export const layernormOperation = normalizationOperation({
  name: 'layernorm',
  options: { operationDimension: 'auto' as OperationDimension, epsilon: 1e-5 },
  groups: (layout, { operationDimension }, { dims }) => groupsOf(layout, operationDimension, dims),
  samples: () => [
    { inputs: normalizationInputs([6, 4], 'CB', 6) },
    { inputs: normalizationInputs([5, 3, 4, 2], 'SSCB', 4), options: { epsilon: 0.1 } },
    { inputs: normalizationInputs([3, 2, 4], 'CBT', 3) },
    { inputs: normalizationInputs([19, 3, 2, 4], 'SCBT', 3) },
    { inputs: normalizationInputs([4, 3, 2], 'SCU', 3) },
    ...operationDimensions.slice(1).flatMap((operationDimension) => [
      { inputs: normalizationInputs([2, 3, 2, 2], 'SCBT', 3), options: { operationDimension } },
      { inputs: normalizationInputs([3, 2, 4, 2], 'SSCB', 4), options: { operationDimension } },
      { inputs: normalizationInputs([5, 2, 3], 'CBT', 5), options: { operationDimension } },
    ]),
  ],
})

/**
 * Layer normalization: normalizes each observation over its channels and other dimensions, then scales and shifts each channel,
 * y = scale * (x - mean) / sqrt(variance + epsilon) + offset, with the biased variance.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `X` | any format with C; the result has the same format. Unformatted with `dataFormat` |
 * | `offset`, `scale` | one element per channel: an array without labels along one dimension or labelled C, or a list |
 * | `operationDimension` | `'channel-only'`: over C alone, each position and time step on its own; `'spatial-channel'`: over S and C, each time step on its own; `'batch-excluded'`: over all but B; `'auto'` (default): `'spatial-channel'` for an X with T, `'batch-excluded'` for one without |
 * | `epsilon` | positive, added to the variance; default 1e-5 |
 * | `dataFormat` | labels of an unformatted `X`; the result is unformatted in the same order |
 *
 * U dimensions go with T where that is on its own. Errors: a {@link DimensionError} without C or with parameters of another
 * length, an {@link OptionError} for epsilon and operationDimension. Source: MATLAB, `layernorm`; Ba, Kiros, Hinton, "Layer
 * Normalization", 2016.
 */
export function layernorm<F extends string>(
  X: DlArray<F>,
  offset: Operand,
  scale: Operand,
  options: { readonly epsilon?: number; readonly operationDimension?: OperationDimension } & DataFormatOption = {},
): DlArray<F> {
  return call(layernormOperation, { X, offset, scale }, options) as DlArray<F>
}
