import * as v from 'valibot'
import { leakyrelu } from '../operations/elementwise/leakyrelu.js'
import type { Layer, LayerOptions } from './layer.js'
import { defineLayer } from './layer-kind.js'
import { accepts, fixed, type NameValuePairs } from './property.js'

/** What {@link leakyReluLayer} makes. */
export interface LeakyReluLayer extends Layer {
  /** Factor of negative elements. */
  readonly scale: number
}

const kind = defineLayer<LeakyReluLayer>({
  functionName: 'leakyReluLayer',
  className: 'LeakyReLULayer',
  typeName: 'Leaky ReLU',
  defaultName: 'leakyrelu',
  positional: { names: ['scale'], required: 0 },
  description: ({ scale }) => `Leaky ReLU with scale ${scale}`,
  properties: [
    fixed(
      'scale',
      accepts(
        v.pipe(v.number(), v.finite()),
        'a finite number',
        'It multiplies negative elements; the default is 0.01.',
      ),
      0.01,
    ),
  ],
  display: () => [{ properties: ['name'] }, { title: 'Hyperparameters', properties: ['scale'] }],
  output: (_, inputs) => inputs,
  block: ({ scale }) => ({ step: 'activation', options: { activation: 'leakyrelu', leak: scale } }),
  compute: ({ scale }, [X]) => [leakyrelu(X!, scale)],
})

/**
 * Layer that computes x, or scale * x for negative elements, element by element, on any format; `scale` is 0.01 unless given.
 * Option: `name`. Source: MATLAB, `leakyReluLayer`.
 */
export function leakyReluLayer(scale?: number, options?: LayerOptions): LeakyReluLayer
export function leakyReluLayer(options?: LayerOptions): LeakyReluLayer
export function leakyReluLayer(scale: number, ...pairs: NameValuePairs): LeakyReluLayer
export function leakyReluLayer(...pairs: NameValuePairs): LeakyReluLayer
export function leakyReluLayer(...given: unknown[]): LeakyReluLayer {
  return kind.create(given)
}

export { kind as leakyReluKind }
