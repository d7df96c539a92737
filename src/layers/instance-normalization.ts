import { instancenorm, instancenormOperation } from '../operations/normalization/instancenorm.js'
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
import type { NameValuePairs } from './property.js'

/** Options of {@link instanceNormalizationLayer}. */
export interface InstanceNormalizationOptions extends NormalizationOptions {}

/** What {@link instanceNormalizationLayer} makes. */
export interface InstanceNormalizationLayer extends NormalizationLayer {}

const kind = defineLayer<InstanceNormalizationLayer>({
  ...normalizationParts('instanceNormalizationLayer'),
  className: 'InstanceNormalizationLayer',
  typeName: 'Instance Normalization',
  defaultName: 'instancenorm',
  description: (layer) => normalizationText('Instance normalization', layer),
  properties: [epsilonProperty, numChannelsProperty, ...parameterProperties, ...factorProperties],
  display: () => [
    { properties: ['name', 'numChannels'] },
    { title: 'Hyperparameters', properties: ['epsilon'] },
    { title: 'Learnable Parameters', properties: ['offset', 'scale'] },
  ],
  check: (layer, call) => checkVectors(layer, { offset: layer.offset, scale: layer.scale }, call),
  output: (layer, [X], { Offset, Scale }) =>
    instancenormOperation.infer({ X: X!, offset: Offset!, scale: Scale! }, { epsilon: layer.epsilon }).slice(0, 1),
  block: ({ epsilon }) => ({ step: 'normalization', options: { epsilon } }),
  compute: (layer, [X], { Offset, Scale }) => [instancenorm(X!, Offset!, Scale!, { epsilon: layer.epsilon })],
})

/**
 * Layer that normalizes each channel of each observation over its spatial and time dimensions, then scales and shifts it:
 * y = scale * (x - mean) / sqrt(variance + epsilon) + offset, with the biased variance. In training and prediction alike.
 *
 * Options as one object, or as MATLAB's pairs: `instanceNormalizationLayer('Name', 'norm', 'Epsilon', 1e-3)`. Input and output
 * have the same format: `SCB`, `SSCB`, `SSSCB`, each also with T or without B, `CBT` and `CB` (there, with nothing to average
 * over, the output is the offset). Scale and offset become 1-by-...-by-C, with a leading singleton for each S, or C-by-1.
 *
 * Errors: an {@link OptionError} for options outside what is accepted. Source: MATLAB, `instanceNormalizationLayer`; Ulyanov,
 * Vedaldi, Lempitsky, "Instance Normalization", 2016.
 */
export function instanceNormalizationLayer(options?: InstanceNormalizationOptions): InstanceNormalizationLayer
export function instanceNormalizationLayer(...pairs: NameValuePairs): InstanceNormalizationLayer
export function instanceNormalizationLayer(...given: unknown[]): InstanceNormalizationLayer {
  return kind.create(given)
}

export { kind as instanceNormalizationKind }
