// Launches written down while a computation runs, so that it can run again without the JavaScript between them. What it
// allocated stays its own meanwhile, so that every address it wrote into a kernel's parameters stays good.

import type { Storage } from '../../array/storage.js'
import { blockBytes, type Heap } from './heap.js'
import type { KernelPlan } from './kernel-plan.js'
import type { WasmStorage } from './storage.js'

/** Where blocks of memory come from and return to: the heap, or what a recording keeps for itself. */
export interface BlockSource {
  allocate(bytes: number): number
  free(address: number, bytes: number): void
}

/** What a computation is given that may be elsewhere, or hold something else, when it runs again. */
export interface RecordedData {
  /** Read by it, no two of them the same. Others of their sizes take their places in each run. */
  readonly inputs: readonly Storage[]
  /** Read by it where they are; the elements change between runs. */
  readonly changing: readonly Storage[]
}

interface Launch {
  readonly plan: KernelPlan
  /** Address of the parameters. */
  readonly block: number
  readonly items: number
  readonly grain: number | undefined
}

/** A parameter that is an address in one of the inputs. */
interface Relocation {
  /** Where it lies, in words of the memory. */
  readonly word: number
  readonly input: number
  readonly offset: number
}

export class Recording implements BlockSource {
  readonly #heap: Heap
  readonly #inputs: readonly Storage[]
  readonly #changing: ReadonlySet<Storage>
  readonly #launches: Launch[] = []
  readonly #relocations: Relocation[] = []
  /** The other parameters that are addresses, by where they lie. */
  readonly #others: { readonly word: number; readonly value: number }[] = []
  /** Where each input was in the latest run. */
  readonly #addresses: number[]
  readonly #bytes: readonly number[]
  /** Storages of others that launches use in their places. */
  readonly #held = new Set<Storage>()
  /** Free blocks by their size, for what it allocates next. */
  readonly #lists = new Map<number, number[]>()
  /** Blocks whose content must stay. */
  readonly #kept: { readonly address: number; readonly bytes: number }[] = []
  /** Taken from the heap, parameters of kernels left out. */
  bytesTaken = 0
  #isRefused = false
  #isReleased = false
  #words: Int32Array = new Int32Array(0)

  constructor(heap: Heap, { inputs, changing }: RecordedData, addresses: readonly number[]) {
    this.#heap = heap
    this.#inputs = inputs
    this.#changing = new Set([...inputs, ...changing])
    this.#addresses = [...addresses]
    this.#bytes = inputs.map(({ bytes }) => bytes)
  }

  /** True when something happened that launches do not show: then running them again would not be the same. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  refuse(): void {
    this.#isRefused = true
  }

  /** True once the memory was given back: it cannot run any more. */
  get isReleased(): boolean {
    return this.#isReleased
  }

  get launches(): readonly Launch[] {
    return this.#launches
  }

  // --- Memory -----------------------------------------------------------------------------------------------------------

  allocate(bytes: number): number {
    const free = this.#lists.get(blockBytes(bytes))?.pop()
    if (free !== undefined) return free
    const address = this.#heap.allocate(bytes)
    this.bytesTaken += blockBytes(bytes)
    return address
  }

  free(address: number, bytes: number): void {
    if (this.#isReleased) {
      this.#heap.free(address, bytes)
      return
    }
    const size = blockBytes(bytes)
    const list = this.#lists.get(size)
    if (list) list.push(address)
    else this.#lists.set(size, [address])
  }

  /** A block for what the host writes, in exchange: launches before may have used the one given, and will again. */
  apart(address: number, bytes: number): number {
    const other = this.#heap.allocate(bytes)
    this.free(address, bytes)
    return other
  }

  /** Takes back a block whose content later runs need. */
  keep(address: number, bytes: number): void {
    if (this.#isReleased) this.#heap.free(address, bytes)
    else this.#kept.push({ address, bytes })
  }

  /** Gives everything back to the heap that no array holds; what arrays hold follows when they are freed. */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    for (const [bytes, list] of this.#lists) for (const address of list) this.#heap.free(address, bytes)
    for (const { address, bytes } of this.#kept) this.#heap.free(address, bytes)
    for (const storage of this.#held) storage.release()
    this.#lists.clear()
    this.#held.clear()
  }

  // --- Writing down -----------------------------------------------------------------------------------------------------

  /** The host looks at elements that it has not written during the recording, or might change them. */
  viewsOther(storage: WasmStorage): void {
    if (this.#changing.has(storage)) this.#isRefused = true
  }

  /** A launch uses a storage that was there before. */
  uses(storage: WasmStorage): void {
    if (!this.#held.has(storage) && !this.#inputs.includes(storage)) this.#held.add(storage.retain())
  }

  /** Room for kernels' parameters that stay as they are written: its address. */
  allocateParameters(bytes: number): number {
    // Not from the blocks of its own, which launches before this one use.
    const address = this.#heap.allocate(bytes)
    this.#kept.push({ address, bytes })
    return address
  }

  /** Looks for inputs' addresses among the parameters that were written to `address`. */
  parametersAt(address: number, { fields, kinds }: KernelPlan, block: Readonly<Record<string, number>>): void {
    for (let i = 0; i < fields.length; i++) {
      if (kinds[i] !== 'address') continue
      const value = block[fields[i]!]!
      const input = this.#addresses.findIndex((base, k) => value >= base && value < base + this.#bytes[k]!)
      const word = address / 4 + i
      if (input < 0) this.#others.push({ word, value })
      else this.#relocations.push({ word, input, offset: value - this.#addresses[input]! })
    }
  }

  /**
   * Counts places that launches write to as further inputs: other blocks of as many bytes stand in for them in each run. What was
   * in such a block before its last owner moves along.
   */
  addPlaces(places: readonly { readonly address: number; readonly bytes: number }[]): void {
    for (const { address, bytes } of places) {
      const input = this.#addresses.push(address) - 1
      const end = address + blockBytes(bytes)
      for (const { word, value } of this.#others)
        if (value >= address && value < end) this.#relocations.push({ word, input, offset: value - address })
    }
  }

  launched(launch: Launch): void {
    this.#launches.push(launch)
  }

  // --- Running again ----------------------------------------------------------------------------------------------------

  /** Makes the launches read inputs at these addresses. */
  relocate(addresses: readonly number[]): void {
    const before = this.#addresses
    if (addresses.every((address, i) => address === before[i])) return
    const { buffer } = this.#heap
    if (this.#words.buffer !== buffer) this.#words = new Int32Array(buffer)
    for (const { word, input, offset } of this.#relocations)
      if (addresses[input] !== before[input]) this.#words[word] = addresses[input]! + offset
    for (const [i, address] of addresses.entries()) before[i] = address
  }
}
