import { isdlarray } from '../array/dlarray.js'
import { properties } from '../layers/layer.js'
import type { LayerArray } from '../layers/layer-array.js'
import type { DlNetwork } from '../network/dlnetwork.js'

/**
 * Calls `use` with copies of a network's layers. Copies hold on to the parameters' memory: here they let go when `use` is
 * done, instead of when the collector finds them.
 */
export function withLayerCopies<T>(net: DlNetwork, use: (layers: LayerArray) => T): T {
  const layers = net.layers
  try {
    return use(layers)
  } finally {
    releaseLayers(layers)
  }
}

/** Frees what copies of layers hold. */
export function releaseLayers(layers: LayerArray): void {
  for (const layer of layers)
    for (const value of Object.values(properties(layer))) if (isdlarray(value)) value.dispose()
}
