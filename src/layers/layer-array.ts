import { OptionError } from '../errors.js'
import { isLayer, type Layer } from './layer.js'
import { shown } from './property.js'

/** Layers in the order in which they follow one another: an array that prints as MATLAB prints layer arrays. */
export class LayerArray extends Array<Layer> {
  // map, filter and slice give plain arrays: their results need not be layers, nor be connected.
  static override get [Symbol.species](): ArrayConstructor {
    return Array
  }

  /** The table `console.log(layers)` shows: number, name, type and description of each layer. */
  override toString(): string {
    return displayLayers(this)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/** Characters of the index column, leading blanks included. */
const INDEX_WIDTH = 6

/**
 * Layers as MATLAB prints them: `7×1 Layer array with layers:`, then a line for each with its number, name in quotes, type and
 * description.
 */
export function displayLayers(layers: readonly Layer[]): string {
  if (layers.length === 0) return '  0×1 empty Layer array'
  const names = layers.map(({ name }) => `'${name}'`)
  const nameWidth = Math.max(...names.map((name) => name.length))
  const typeWidth = Math.max(...layers.map(({ typeName }) => typeName.length))
  const lines = layers.map(({ typeName, description }, i) =>
    [String(i + 1).padStart(INDEX_WIDTH), names[i]!.padEnd(nameWidth), typeName.padEnd(typeWidth), description].join(
      '   ',
    ),
  )
  return [`  ${layers.length}×1 Layer array with layers:`, '', ...lines].join('\n')
}

/**
 * Makes a layer array of layers and of other layer arrays, which are put in line: `layerArray([...backbone, reluLayer()])` and
 * `layerArray([backbone, reluLayer()])` are the same.
 *
 * Errors: an {@link OptionError} for anything that is not a layer. Source: MATLAB, `Layer` arrays.
 */
export function layerArray(layers: readonly (Layer | readonly Layer[])[]): LayerArray {
  if (!Array.isArray(layers))
    throw new OptionError({
      call: 'layerArray',
      expects: 'a list of layers',
      got: isLayer(layers) ? `a single layer (${layers.typeName})` : shown(layers),
      remedy: 'Write layerArray([imageInputLayer([28, 28, 3]), convolution2dLayer(5, 20), reluLayer()]).',
    })
  const result = new LayerArray()
  const append = (value: unknown, place: string) => {
    if (Array.isArray(value)) for (const [i, entry] of value.entries()) append(entry, `${place}[${i}]`)
    else if (isLayer(value)) result.push(value)
    else
      throw new OptionError({
        call: 'layerArray',
        expects: 'layers',
        got: `${typeof value === 'function' ? `the function ${value.name || '(...)'}` : shown(value)} at ${place}`,
        remedy:
          typeof value === 'function'
            ? `Call it: ${value.name || 'layer'}(...).`
            : 'Give what layer functions return, such as reluLayer().',
      })
  }
  for (const [i, layer] of layers.entries()) append(layer, `layers[${i}]`)
  return result
}
