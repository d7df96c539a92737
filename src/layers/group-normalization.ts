import * as v from 'valibot'
import { groupnorm, groupnormOperation, type NumGroups } from '../operations/normalization/groupnorm.js'
import { defineLayer } from './layer-kind.js'
import {
  checkVectors,
  epsilonProperty,
  factorProperties,
  type NormalizationLayer,
  type NormalizationOptions,
  normalizationParts,
  normalizationText,
  numChannelsProperty,
  parameterProperties,
} from './normalization.js'
import { accepts, fixed, type NameValuePairs, positiveInteger } from './property.js'

/** Options of {@link groupNormalizationLayer}. */
export interface GroupNormalizationOptions extends NormalizationOptions {}

/** What {@link groupNormalizationLayer} makes. */
export interface GroupNormalizationLayer extends NormalizationLayer {
  readonly numGroups: NumGroups
}

const options = ({ numGroups, epsilon }: GroupNormalizationLayer) => ({ numGroups, epsilon })

const kind = defineLayer<GroupNormalizationLayer>({
  ...normalizationParts('groupNormalizationLayer'),
  className: 'GroupNormalizationLayer',
  typeName: 'Group Normalization',
  defaultName: 'groupnorm',
  positional: { names: ['numGroups'], required: 1 },
  description: (layer) => normalizationText('Group normalization', layer),
  properties: [
    fixed(
      'numGroups',
      accepts(
        v.union([positiveInteger, v.picklist(['all-channels', 'channel-wise'])]),
        "a positive whole number, 'all-channels' or 'channel-wise'",
        "It divides the number of channels; 'all-channels' makes one group of all, 'channel-wise' one of each.",
      ),
    ),
    epsilonProperty,
    numChannelsProperty,
    ...parameterProperties,
    ...factorProperties,
  ],
  display: () => [
    { properties: ['name', 'numChannels'] },
    { title: 'Hyperparameters', properties: ['numGroups', 'epsilon'] },
    { title: 'Learnable Parameters', properties: ['offset', 'scale'] },
  ],
  check: (layer, call) => checkVectors(layer, { offset: layer.offset, scale: layer.scale }, call),
  output: (layer, [X], { Offset, Scale }) =>
    groupnormOperation.infer({ X: X!, offset: Offset!, scale: Scale! }, options(layer)).slice(0, 1),
  block: (layer) => ({ step: 'normalization', options: options(layer) }),
  compute(layer, [X], { Offset, Scale }) {
    const { numGroups, epsilon } = layer
    return [groupnorm(X!, numGroups, Offset!, Scale!, { epsilon })]
  },
})

/**
 * Layer that normalizes each group of neighbouring channels of each observation over these channels and the spatial and time
 * dimensions, then scales and shifts each channel: y = scale * (x - mean) / sqrt(variance + epsilon) + offset, with the biased
 * variance. In training and prediction alike.
 *
 * `numGroups` divides the number of channels; `'all-channels'` is one group, `'channel-wise'` one for each channel, which is
 * {@link instanceNormalizationLayer}. Options as one object, or as MATLAB's pairs. Input and output have the same format, any
 * with C. Scale and offset become 1-by-...-by-C, with a leading singleton for each S, or C-by-1.
 *
 * Errors: an {@link OptionError} for options outside what is accepted. Source: MATLAB, `groupNormalizationLayer`; Wu, He, "Group
 * Normalization", 2018.
 */
export function groupNormalizationLayer(
  numGroups: NumGroups,
  options?: GroupNormalizationOptions,
): GroupNormalizationLayer
export function groupNormalizationLayer(numGroups: NumGroups, ...pairs: NameValuePairs): GroupNormalizationLayer
export function groupNormalizationLayer(...given: unknown[]): GroupNormalizationLayer {
  return kind.create(given)
}

export { kind as groupNormalizationKind }
