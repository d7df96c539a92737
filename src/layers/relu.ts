import { relu } from '../operations/elementwise/relu.js'
import type { Layer, LayerOptions } from './layer.js'
import { defineLayer } from './layer-kind.js'
import type { NameValuePairs } from './property.js'

/** What {@link reluLayer} makes. */
export interface ReluLayer extends Layer {}

const kind = defineLayer<ReluLayer>({
  functionName: 'reluLayer',
  className: 'ReLULayer',
  typeName: 'ReLU',
  defaultName: 'relu',
  description: () => 'ReLU',
  properties: [],
  display: () => [{ properties: ['name'] }],
  output: (_, inputs) => inputs,
  block: () => ({ step: 'activation', options: { activation: 'relu' } }),
  compute: (_, [X]) => [relu(X!)],
})

/** Layer that computes max(0, x), element by element, on any format. Option: `name`. Source: MATLAB, `reluLayer`. */
export function reluLayer(options?: LayerOptions): ReluLayer
export function reluLayer(...pairs: NameValuePairs): ReluLayer
export function reluLayer(...given: unknown[]): ReluLayer {
  return kind.create(given)
}

export { kind as reluKind }
