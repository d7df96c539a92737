import * as v from 'valibot'
import { type InputShape, normalizingInput } from './input-data.js'
import {
  type InputNormalizationOptions,
  type NormalizingLayer,
  normalizationDisplay,
  normalizationProperties,
} from './input-normalization.js'
import { defineLayer } from './layer-kind.js'
import { accepts, fixed, type NameValuePairs, positiveInteger } from './property.js'

/** Options of {@link sequenceInputLayer}. */
export interface SequenceInputOptions extends InputNormalizationOptions {
  /** Smallest number of time steps; default 1. Layers that shorten sequences need it to know that something is left. */
  readonly minLength?: number
}

/** What {@link sequenceInputLayer} makes. */
export interface SequenceInputLayer extends NormalizingLayer {
  /** Channels, or [height, channels], [height, width, channels], [height, width, depth, channels]. */
  readonly inputSize: number | readonly number[]
  readonly minLength: number
}

const functionName = 'sequenceInputLayer'

function shape({ inputSize, minLength }: SequenceInputLayer): InputShape {
  if (typeof inputSize === 'number') return { spatial: [], channels: inputSize, time: true, minLength, format: 'TCB' }
  const spatial = inputSize.slice(0, -1)
  return { spatial, channels: inputSize.at(-1)!, time: true, minLength, format: `${'S'.repeat(spatial.length)}CTB` }
}

const kind = defineLayer<SequenceInputLayer>({
  ...normalizingInput(functionName, shape),
  className: 'SequenceInputLayer',
  typeName: 'Sequence Input',
  defaultName: 'sequenceinput',
  description: ({ inputSize }) =>
    `Sequence input with ${typeof inputSize === 'number' ? inputSize : inputSize.join('×')} dimensions`,
  properties: [
    fixed(
      'inputSize',
      accepts(
        v.union([
          positiveInteger,
          v.pipe(v.array(positiveInteger), v.minLength(2), v.maxLength(4)),
          v.pipe(
            v.tuple([positiveInteger]),
            v.transform(([channels]) => channels),
          ),
        ]),
        'a number of channels, or one to three extents and the channels, in positive whole numbers',
        `Write ${functionName}(12), or ${functionName}([28, 28, 3]) for videos.`,
      ),
    ),
    fixed(
      'minLength',
      accepts(positiveInteger, 'a positive whole number', 'It is the smallest number of time steps; the default is 1.'),
      1,
    ),
    ...normalizationProperties('none'),
  ],
  display: (layer) => [
    { properties: ['name', 'inputSize', 'minLength', 'splitComplexInputs'] },
    { title: 'Hyperparameters', properties: normalizationDisplay(layer) },
  ],
  inputInfo(layer) {
    const { spatial, channels } = shape(layer)
    return {
      size: [...spatial, channels, 1, layer.minLength],
      dims: `${'S'.repeat(spatial.length)}CBT`,
      type: 'single',
    }
  },
})

/**
 * Input layer for sequences: vectors of `inputSize` channels in format `CBT`, or images of [height, channels], [height, width,
 * channels] or [height, width, depth, channels] in `SCBT`, `SSCBT`, `SSSCBT` (B may be missing). Unformatted data is taken as
 * time by channels by observations (`TCB`), images as `S...CTB`. By default nothing is normalized.
 *
 * Options as for {@link imageInputLayer}, and `minLength`. Errors: an {@link OptionError} for options outside what is accepted.
 * Source: MATLAB, `sequenceInputLayer`.
 */
export function sequenceInputLayer(
  inputSize: number | readonly number[],
  options?: SequenceInputOptions,
): SequenceInputLayer
export function sequenceInputLayer(inputSize: number | readonly number[], ...pairs: NameValuePairs): SequenceInputLayer
export function sequenceInputLayer(...given: unknown[]): SequenceInputLayer {
  return kind.create(given)
}

export { kind as sequenceInputKind }
