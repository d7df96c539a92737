// The elements of arrays in the WebAssembly heap. Touches the one block of the heap that it holds.

import { type Elements, type ElementType, Storage } from '../../array/storage.js'
import { MemoryError } from '../../errors.js'
import type { Heap } from './heap.js'
import type { LaunchHolder } from './held-launch.js'
import type { BlockSource, Recording } from './recording.js'

/** What storages of one backend have in common. */
export interface StorageOwner {
  readonly heap: Heap
  /** The recording that is being made. */
  readonly recording: Recording | undefined
  /** The launch that is put off. */
  readonly held: LaunchHolder
  /** The storages that hold memory, counted by themselves. */
  readonly live: { storages: number; bytes: number }
}

export class WasmStorage extends Storage {
  readonly backend = 'wasm'
  readonly owner: StorageOwner
  readonly elementType: ElementType
  readonly length: number
  /** Where the memory returns to. */
  #source: BlockSource
  /** Of one made while a recording is: whether the host has written the elements, which later runs will find there. */
  #isConstant = false
  /** Of one made while a recording is: whether launches may have written the elements. */
  #isComputed = false
  /** 0 once the memory was given back. */
  #address: number
  #view: Elements | undefined
  /** The buffer that `#view` shows. */
  #viewed: ArrayBufferLike | undefined

  constructor(owner: StorageOwner, elementType: ElementType, length: number) {
    super()
    this.owner = owner
    this.elementType = elementType
    this.length = length
    this.#source = owner.recording ?? owner.heap
    this.#address = this.#source.allocate(this.bytes)
    owner.live.storages++
    owner.live.bytes += this.bytes
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

  /** The address of the first element, for a kernel. */
  pointer(): number {
    const { recording } = this.owner
    if (recording !== undefined) {
      if (this.#source !== recording) recording.uses(this)
      else if (!this.#isConstant) this.#isComputed = true
    }
    return this.address
  }

  /** Whether a recording allocated it, and its elements come from the launches or are always the same. */
  isOf(recording: Recording): boolean {
    return this.#source === recording
  }

  /** Whether launches of a recording wrote all that it holds. */
  isComputedBy(recording: Recording): boolean {
    return this.#source === recording && this.#isComputed
  }

  /** Parts with the recording that it was made in, whose later runs write elsewhere. */
  leaveRecording(): void {
    this.#source = this.owner.heap
  }

  view(): Elements {
    this.settle()
    const { held, recording } = this.owner
    held.settle()
    if (recording !== undefined) {
      if (this.#source !== recording) recording.viewsOther(this)
      else if (this.#isComputed) recording.refuse()
      else if (!this.#isConstant) {
        this.#address = recording.apart(this.address, this.bytes)
        this.#isConstant = true
      }
    }
    const { buffer } = this.owner.heap
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
    const { live } = this.owner
    const address = this.#address
    this.#address = 0
    this.#view = undefined
    live.storages--
    live.bytes -= this.bytes
    if (this.#isConstant) (this.#source as Recording).keep(address, this.bytes)
    else this.#source.free(address, this.bytes)
  }
}
