import { packedKernels, unpacker } from './kernels.generated.js'

/** Exports of kernels/unpacking/unpack.ts. */
interface Unpacker {
  memory: WebAssembly.Memory
  packedBegin(): number
  moduleBegin(): number
  unpack(): number
}

const bytesOf = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))

/** The compiled kernels: WebAssembly with SIMD and atomics that imports its memory. */
export function kernelBytes(): Uint8Array<ArrayBuffer> {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytesOf(unpacker)))
  const { memory, packedBegin, moduleBegin, unpack } = exports as unknown as Unpacker
  const bytes = new Uint8Array(memory.buffer as ArrayBuffer)
  bytes.set(bytesOf(packedKernels), packedBegin())
  return bytes.slice(moduleBegin(), unpack())
}
