import { numel } from '../../array/format.js'
import type { WasmBackend } from '../../backends/wasm/backend.js'
import type { PoolingGeometry } from './pooling-geometry.js'

// Launches the kernels of kernels/pooling/.

/** Elements that a thread takes at once. */
const GRAIN = 16384

/** The fields of the block class Windows, with which those of all kernels that pool begin. */
export function windowFields({ image, output, pool, stride, before, excludePadding }: Omit<PoolingGeometry, 'planes'>) {
  return {
    height: image[0],
    width: image[1],
    depth: image[2],
    outHeight: output[0],
    outWidth: output[1],
    outDepth: output[2],
    poolHeight: pool[0],
    poolWidth: pool[1],
    poolDepth: pool[2],
    strideHeight: stride[0],
    strideWidth: stride[1],
    strideDepth: stride[2],
    paddingHeight: before[0],
    paddingWidth: before[1],
    paddingDepth: before[2],
    excludePadding: excludePadding ? 1 : 0,
  }
}

type PoolingKernel = 'maximumPool' | 'maximumPoolGradient' | 'maximumPoolGather' | 'averagePool' | 'averagePoolGradient'

interface Addresses {
  readonly x?: number
  readonly y?: number
  readonly offsets?: number
  readonly dy?: number
  readonly dx?: number
}

/** Runs a kernel on addresses in the heap; those that are left out are 0. */
export function launchPooling(
  wasm: WasmBackend,
  kernel: PoolingKernel,
  at: Addresses,
  geometry: PoolingGeometry,
): void {
  const { image, output, planes } = geometry
  const byPlane = kernel === 'maximumPoolGradient' || kernel === 'averagePoolGradient'
  const columns = output[1] * output[2]
  const elements = Math.max(1, byPlane ? numel(image) : numel(image) / Math.max(columns, 1))
  wasm.launch(
    kernel,
    { x: 0, y: 0, offsets: 0, dy: 0, dx: 0, ...at, ...windowFields(geometry) },
    { items: byPlane ? planes : planes * columns, grain: Math.max(1, Math.ceil(GRAIN / elements)) },
  )
}
