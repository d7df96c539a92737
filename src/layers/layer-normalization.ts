import * as v from 'valibot'
import {
  layernorm,
  layernormOperation,
  type OperationDimension,
  operationDimensions,
} from '../operations/normalization/layernorm.js'
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
import { accepts, fixed, type NameValuePairs } from './property.js'

/** Options of {@link layerNormalizationLayer}. */
export interface LayerNormalizationOptions extends NormalizationOptions {
  /** What a mean and a variance are taken over, as in `layernorm`; default `'auto'`. */
  readonly operationDimension?: OperationDimension
}

/** What {@link layerNormalizationLayer} makes. */
export interface LayerNormalizationLayer extends NormalizationLayer {
  readonly operationDimension: OperationDimension
}

const options = ({ operationDimension, epsilon }: LayerNormalizationLayer) => ({ operationDimension, epsilon })

const kind = defineLayer<LayerNormalizationLayer>({
  ...normalizationParts('layerNormalizationLayer'),
  className: 'LayerNormalizationLayer',
  typeName: 'Layer Normalization',
  defaultName: 'layernorm',
  description: (layer) => normalizationText('Layer normalization', layer),
  properties: [
    epsilonProperty,
    numChannelsProperty,
    fixed(
      'operationDimension',
      accepts(
        v.picklist(operationDimensions),
        operationDimensions.map((one) => `'${one}'`).join(', '),
        "The default is 'auto'.",
      ),
      'auto',
    ),
    ...parameterProperties,
    ...factorProperties,
  ],
  display: () => [
    { properties: ['name', 'numChannels'] },
    { title: 'Hyperparameters', properties: ['operationDimension', 'epsilon'] },
    { title: 'Learnable Parameters', properties: ['offset', 'scale'] },
  ],
  check: (layer, call) => checkVectors(layer, { offset: layer.offset, scale: layer.scale }, call),
  output: (layer, [X], { Offset, Scale }) =>
    layernormOperation.infer({ X: X!, offset: Offset!, scale: Scale! }, options(layer)).slice(0, 1),
  // of what blocks take, the other three are the same
  block: ({ operationDimension, epsilon }) =>
    operationDimension === 'channel-only'
      ? undefined
      : { step: 'normalization', options: { numGroups: 'all-channels', epsilon } },
  compute: (layer, [X], { Offset, Scale }) => [layernorm(X!, Offset!, Scale!, options(layer))],
})

/**
 * Layer that normalizes each observation over its channels and other dimensions, then scales and shifts each channel:
 * y = scale * (x - mean) / sqrt(variance + epsilon) + offset, with the biased variance. In training and prediction alike.
 *
 * | `operationDimension` | mean and variance are taken over |
 * | --- | --- |
 * | `'channel-only'` | C alone, each position and time step on its own |
 * | `'spatial-channel'` | S and C, each time step on its own |
 * | `'batch-excluded'` | all dimensions but B |
 * | `'auto'` (default) | S and C of an input with T, all dimensions but B of one without |
 *
 * Options as one object, or as MATLAB's pairs. Input and output have the same format, any with C. Scale and offset become
 * 1-by-...-by-C, with a leading singleton for each S, or C-by-1.
 *
 * Errors: an {@link OptionError} for options outside what is accepted. Source: MATLAB, `layerNormalizationLayer`; Ba, Kiros,
 * Hinton, "Layer Normalization", 2016.
 */
export function layerNormalizationLayer(options?: LayerNormalizationOptions): LayerNormalizationLayer
export function layerNormalizationLayer(...pairs: NameValuePairs): LayerNormalizationLayer
export function layerNormalizationLayer(...given: unknown[]): LayerNormalizationLayer {
  return kind.create(given)
}

export { kind as layerNormalizationKind }
