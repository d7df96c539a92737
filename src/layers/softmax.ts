import { softmax, softmaxOperation } from '../operations/reductions/softmax.js'
import type { Layer, LayerOptions } from './layer.js'
import { defineLayer } from './layer-kind.js'
import type { NameValuePairs } from './property.js'

/** What {@link softmaxLayer} makes. */
export interface SoftmaxLayer extends Layer {}

const kind = defineLayer<SoftmaxLayer>({
  functionName: 'softmaxLayer',
  className: 'SoftmaxLayer',
  typeName: 'Softmax',
  defaultName: 'softmax',
  description: () => 'softmax',
  properties: [],
  display: () => [{ properties: ['name'] }],
  output: (_, [X]) => softmaxOperation.infer({ X: X! }),
  compute: (_, [X]) => [softmax(X!)],
})

/**
 * Layer that makes probabilities of the channels, exp(x) / sum of exp(x) over C, independently for all other dimensions. Any
 * format with C, kept. Option: `name`. Source: MATLAB, `softmaxLayer`.
 */
export function softmaxLayer(options?: LayerOptions): SoftmaxLayer
export function softmaxLayer(...pairs: NameValuePairs): SoftmaxLayer
export function softmaxLayer(...given: unknown[]): SoftmaxLayer {
  return kind.create(given)
}

export { kind as softmaxKind }
