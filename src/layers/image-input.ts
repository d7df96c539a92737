import * as v from 'valibot'
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

/** What {@link imageInputLayer} makes. */
export interface ImageInputLayer extends NormalizingLayer {
  /** [height, width, channels]. */
  readonly inputSize: readonly number[]
}

/** What {@link image3dInputLayer} makes. */
export interface Image3dInputLayer extends NormalizingLayer {
  /** [height, width, depth, channels]. */
  readonly inputSize: readonly number[]
}

function imageKind<L extends ImageInputLayer>(
  rank: 2 | 3,
  names: {
    readonly functionName: string
    readonly className: string
    readonly typeName: string
    readonly name: string
  },
) {
  const { functionName } = names
  const shape = ({ inputSize }: L): InputShape => ({
    spatial: inputSize.slice(0, rank),
    channels: inputSize[rank]!,
    time: false,
    format: `${'S'.repeat(rank)}CB`,
  })
  const extents = rank === 2 ? '[height, width' : '[height, width, depth'
  const list = v.array(positiveInteger)
  return defineLayer<L>({
    ...normalizingInput(functionName, shape),
    className: names.className,
    typeName: names.typeName,
    defaultName: names.name,
    description: (layer) => `${layer.inputSize.join('×')} images${normalizationText(layer)}`,
    properties: [
      fixed(
        'inputSize',
        accepts(
          v.union([
            v.pipe(list, v.length(rank + 1)),
            v.pipe(
              list,
              v.length(rank),
              v.transform((size) => [...size, 1]),
            ),
          ]),
          `${extents}, channels] or, with one channel, ${extents}] in positive whole numbers`,
          `Write ${functionName}([${rank === 2 ? '28, 28, 3' : '28, 28, 28, 3'}]).`,
        ),
      ),
      ...normalizationProperties('zerocenter'),
    ],
    display: (layer) => [
      { properties: ['name', 'inputSize', 'splitComplexInputs'] },
      { title: 'Hyperparameters', properties: normalizationDisplay(layer) },
    ],
    inputInfo: ({ inputSize }) => ({ size: [...inputSize, 1], dims: `${'S'.repeat(rank)}CB`, type: 'single' }),
  })
}

const kind2d = imageKind<ImageInputLayer>(2, {
  functionName: 'imageInputLayer',
  className: 'ImageInputLayer',
  typeName: 'Image Input',
  name: 'imageinput',
})

const kind3d = imageKind<Image3dInputLayer>(3, {
  functionName: 'image3dInputLayer',
  className: 'Image3DInputLayer',
  typeName: '3-D Image Input',
  name: 'image3dinput',
})

/**
 * Input layer for images of [height, width, channels], or [height, width] for one channel: data in format `SSCB` (or `SSC`),
 * unformatted data taken as `SSCB`. Normalizes them, by default to mean zero for each channel over the training data.
 *
 * Options as one object or as name-value pairs: `normalization`, `normalizationDimension`, `mean`, `standardDeviation`, `min`,
 * `max`, `name`. Statistics not given are computed by training. Errors: an {@link OptionError} for options outside what is
 * accepted. Source: MATLAB, `imageInputLayer`.
 */
export function imageInputLayer(inputSize: readonly number[], options?: InputNormalizationOptions): ImageInputLayer
export function imageInputLayer(inputSize: readonly number[], ...pairs: NameValuePairs): ImageInputLayer
export function imageInputLayer(...given: unknown[]): ImageInputLayer {
  return kind2d.create(given)
}

/**
 * Input layer for volumes of [height, width, depth, channels], or [height, width, depth] for one channel: data in format
 * `SSSCB` (or `SSSC`); otherwise as {@link imageInputLayer}. Source: MATLAB, `image3dInputLayer`.
 */
export function image3dInputLayer(inputSize: readonly number[], options?: InputNormalizationOptions): Image3dInputLayer
export function image3dInputLayer(inputSize: readonly number[], ...pairs: NameValuePairs): Image3dInputLayer
export function image3dInputLayer(...given: unknown[]): Image3dInputLayer {
  return kind3d.create(given)
}

export const imageInputKinds = [kind2d, kind3d]
