import { kernelStreams } from './kernels.generated.js'
import { joinStreams } from './streams.js'

/** The compiled kernels: WebAssembly with SIMD and atomics that imports its memory. */
export function kernelBytes(): Uint8Array<ArrayBuffer> {
  return joinStreams(kernelStreams)
}
