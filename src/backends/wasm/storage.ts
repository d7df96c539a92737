// The elements of arrays in the WebAssembly heap. Touches the one block of the heap that it holds.

import { type Elements, type ElementType, Storage } from '../../array/storage.js'
import { MemoryError } from '../../errors.js'
import type { Heap } from './heap.js'

/** The storages of one backend that hold memory, counted by themselves. */
interface LiveStorages {
  storages: number
  bytes: number
}

export class WasmStorage extends Storage {
  readonly backend = 'wasm'
  readonly heap: Heap
  readonly elementType: ElementType
  readonly length: number
  readonly #live: LiveStorages
  /** 0 once the memory was given back. */
  #address: number
  #view: Elements | undefined
  /** The buffer that `#view` shows. */
  #viewed: ArrayBufferLike | undefined

  constructor(heap: Heap, live: LiveStorages, elementType: ElementType, length: number) {
    super()
    this.heap = heap
    this.elementType = elementType
    this.length = length
    this.#live = live
    this.#address = heap.allocate(this.bytes)
    live.storages++
    live.bytes += this.bytes
  }

  /** Of the first element. */
  get address(): number {
    this.settle()
    if (this.#address !== 0) return this.#address
    throw new MemoryError({
      call: 'reading an array',
      expects: 'an array whose memory is still its own',
      got: 'one whose memory was freed when its scope ended',
      remedy: 'Return the array from the scope, or copy its values out before the scope ends.',
    })
  }

  view(): Elements {
    this.settle()
    const { buffer } = this.heap
    if (this.#view === undefined || this.#viewed !== buffer) {
      this.#view =
        this.elementType === 'float64'
          ? new Float64Array(buffer, this.address, this.length)
          : new Float32Array(buffer, this.address, this.length)
      this.#viewed = buffer
    }
    return this.#view
  }

  protected free(): void {
    if (this.#address === 0) return
    this.heap.free(this.#address, this.bytes)
    this.#address = 0
    this.#view = undefined
    this.#live.storages--
    this.#live.bytes -= this.bytes
  }
}
