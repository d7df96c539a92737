import type { DlArray } from '../../src/array/dlarray.js'
import type { Layer } from '../../src/layers/layer.js'
import type { LayerContext } from '../../src/layers/layer-definition.js'
import { evaluateLayer } from '../../src/layers/layer-running.js'

/** What a layer computes, without its new state. */
export function runLayer(
  layer: Layer,
  inputs: readonly DlArray[],
  parameters: Readonly<Record<string, DlArray>> | undefined,
  context: LayerContext,
): readonly DlArray[] {
  return evaluateLayer(layer, inputs, parameters, context).outputs
}
