import { type InputShape, normalizingInput } from './input-data.js'
import {
  type InputNormalizationOptions,
  type NormalizingLayer,
  normalizationDisplay,
  normalizationProperties,
  normalizationText,
} from './input-normalization.js'
import { defineLayer } from './layer-kind.js'
import { accepts, fixed, type NameValuePairs, positiveInteger } from './property.js'

/** What {@link featureInputLayer} makes. */
export interface FeatureInputLayer extends NormalizingLayer {
  readonly inputSize: number
}

const functionName = 'featureInputLayer'

const shape = ({ inputSize }: FeatureInputLayer): InputShape => ({
  spatial: [],
  channels: inputSize,
  time: false,
  format: 'BC',
})

const kind = defineLayer<FeatureInputLayer>({
  ...normalizingInput(functionName, shape),
  className: 'FeatureInputLayer',
  typeName: 'Feature Input',
  defaultName: 'featureinput',
  description: (layer) => `${layer.inputSize} features${normalizationText(layer)}`,
  properties: [
    fixed('inputSize', accepts(positiveInteger, 'a positive whole number', 'It is the number of features.')),
    ...normalizationProperties('none'),
  ],
  display: (layer) => [
    { properties: ['name', 'inputSize', 'splitComplexInputs'] },
    { title: 'Hyperparameters', properties: normalizationDisplay(layer) },
  ],
  inputInfo: ({ inputSize }) => ({ size: [inputSize, 1], dims: 'CB', type: 'single' }),
})

/**
 * Input layer for `inputSize` features: data in format `CB`, unformatted data taken as observations by features (`BC`). By
 * default nothing is normalized.
 *
 * Options as for {@link imageInputLayer}. Errors: an {@link OptionError} for options outside what is accepted. Source: MATLAB,
 * `featureInputLayer`.
 */
export function featureInputLayer(inputSize: number, options?: InputNormalizationOptions): FeatureInputLayer
export function featureInputLayer(inputSize: number, ...pairs: NameValuePairs): FeatureInputLayer
export function featureInputLayer(...given: unknown[]): FeatureInputLayer {
  return kind.create(given)
}

export { kind as featureInputKind }
