import type { DlArray } from '../../src/array/dlarray.js'
import type { Layer } from '../../src/layers/layer.js'
import type { LayerContext } from '../../src/layers/layer-definition.js'
import { evaluateLayer } from '../../src/layers/layer-running.js'
import { RandomStream } from '../../src/operations/arrays/random.js'

/** Prediction, with random numbers from the default seed. */
export const context: LayerContext = { training: false, random: new RandomStream() }

/** What a layer is told of an input before there is one. */
export const info = (size: number[], dims: string) => ({ size, dims, type: 'single' as const })

/** What a layer computes, without its new state. */
export function runLayer(
  layer: Layer,
  inputs: readonly DlArray[],
  parameters: Readonly<Record<string, DlArray>> | undefined,
  context: LayerContext,
): readonly DlArray[] {
  return evaluateLayer(layer, inputs, parameters, context).outputs
}
