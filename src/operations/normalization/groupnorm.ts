import type { DlArray } from '../../array/dlarray.js'
import { checkOptionNames, DimensionError, OptionError } from '../../errors.js'
import { call, type DataFormatOption, type Operand } from '../call.js'
import { normalizationInputs, normalizationOperation } from './normalization-operation.js'

/** How channels are grouped: into so many groups, all in one, or each alone. */
export type NumGroups = number | 'all-channels' | 'channel-wise'

/** Neighbouring channels that are normalized together, of so many. Throws where they cannot be divided so. */
function channelsPerGroup(numGroups: NumGroups, channels: number): number {
  if (numGroups === 'all-channels') return Math.max(channels, 1)
  if (numGroups === 'channel-wise') return 1
  if (!(Number.isSafeInteger(numGroups) && numGroups > 0))
    throw new OptionError({
      call: 'groupnorm',
      expects: "for numGroups a positive whole number, 'all-channels' or 'channel-wise'",
      got: typeof numGroups === 'string' ? `'${numGroups as string}'` : String(numGroups),
      remedy: "'all-channels' makes one group of all, 'channel-wise' one of each channel.",
    })
  if (channels % numGroups !== 0)
    throw new DimensionError({
      call: 'groupnorm',
      expects: `channels that can be divided into ${numGroups} groups`,
      got: `${channels} channels`,
      remedy: 'Give a number of groups that divides the number of channels.',
    })
  return Math.max(channels / numGroups, 1)
}

/** Normalizes groups of neighbouring channels of each observation over these channels and S, T and U. */
export const groupnormOperation = normalizationOperation({
  name: 'groupnorm',
  options: { numGroups: 'channel-wise' as NumGroups, epsilon: 1e-5 },
  groups: (layout, { numGroups }) => ({
    ...layout,
    groupChannels: channelsPerGroup(numGroups, layout.channels),
    positions: 1,
  }),
  samples: () => [
    { inputs: normalizationInputs([5, 3, 4, 2], 'SSCB', 4), options: { numGroups: 2 } },
    { inputs: normalizationInputs([7, 6, 6, 2], 'SSCB', 6), options: { numGroups: 3, epsilon: 0.1 } },
    { inputs: normalizationInputs([5, 3, 2], 'SCB', 3), options: { numGroups: 'all-channels' as const } },
    { inputs: normalizationInputs([5, 3, 2], 'SCB', 3), options: { numGroups: 'channel-wise' as const } },
    { inputs: normalizationInputs([4, 2, 7], 'CBT', 4), options: { numGroups: 2 } },
    { inputs: normalizationInputs([17, 4, 2, 3], 'SCBT', 4), options: { numGroups: 2 } },
    { inputs: normalizationInputs([3, 4, 2, 3], 'SCBT', 4), options: { numGroups: 2 } },
    { inputs: normalizationInputs([2, 4, 3], 'SCU', 4), options: { numGroups: 2 } },
    { inputs: normalizationInputs([6, 3], 'CB', 6), options: { numGroups: 2 } },
    { inputs: normalizationInputs([3, 4], 'SC', 4), options: { numGroups: 1 } },
  ],
})

/**
 * Group normalization: normalizes each group of neighbouring channels of each observation over these channels and the S, T and
 * U dimensions, then scales and shifts each channel,
 * y = scale * (x - mean) / sqrt(variance + epsilon) + offset, with the biased variance.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `X` | any format with C; the result has the same format. Unformatted with `dataFormat` |
 * | `numGroups` | a divisor of the number of channels; `'all-channels'`: one group; `'channel-wise'`: each channel alone, which is {@link instancenorm} |
 * | `offset`, `scale` | one element per channel: an array without labels along one dimension or labelled C, or a list |
 * | `epsilon` | positive, added to the variance; default 1e-5 |
 * | `dataFormat` | labels of an unformatted `X`; the result is unformatted in the same order |
 *
 * Errors: a {@link DimensionError} without C, with parameters of another length and for channels that cannot be divided into so
 * many groups, an {@link OptionError} for epsilon and numGroups. Source: MATLAB, `groupnorm`; Wu, He, "Group Normalization", 2018.
 */
export function groupnorm<F extends string>(
  X: DlArray<F>,
  numGroups: NumGroups,
  offset: Operand,
  scale: Operand,
  options: { readonly epsilon?: number } & DataFormatOption = {},
): DlArray<F> {
  checkOptionNames('groupnorm', options, ['epsilon', 'dataFormat'])
  return call(groupnormOperation, { X, offset, scale }, { ...options, numGroups }) as DlArray<F>
}
