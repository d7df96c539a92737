// The WebAssembly backend: arrays' elements in the heap of one WebAssembly memory, kernels launched over them on one or
// several threads. Touches its own memory only; operations hand it addresses and numbers.

import type { ElementType, Storage } from '../../array/storage.js'
import { BackendError, OptionError } from '../../errors.js'
import type { Backend, BackendInfo, BackendMemory } from '../backend.js'
import { Heap } from './heap.js'
import { LaunchHolder } from './held-launch.js'
import { type KernelPlan, kernelPlans, writeBlock } from './kernel-plan.js'
import { initialThreads, KernelThreads } from './kernel-threads.js'
import type { KernelFields } from './kernels.generated.js'
import { instantiateKernels } from './module.js'
import { type RecordedData, Recording } from './recording.js'
import { type StorageOwner, WasmStorage } from './storage.js'

export type KernelName = keyof KernelFields

/** The values of a kernel's parameter block: addresses from {@link WasmBackend.pointer}, integers and floats. */
export type KernelBlock<K extends KernelName> = { readonly [field in KernelFields[K]]: number }

/** How a launch may be split between threads. */
export interface Work {
  /** Number of independent pieces; every split of them gives the same bits. */
  readonly items: number
  /** Items a thread takes at once. Default: so that each thread takes about four times. */
  readonly grain?: number
}

export interface WasmBackendOptions {
  /** Threads that run kernels, 1 to 256. Default: the variable DLNET_THREADS in Node, else the number of processors. */
  threads?: number
  /** Largest size of the heap in bytes, 4 MB to 4 GB. Default 4 GB. */
  maximumBytes?: number
  /** Whether to share the memory with worker threads where that is possible. Default true. */
  shared?: boolean
}

const MINIMUM_HEAP = 4 * 2 ** 20
const MAXIMUM_HEAP = 4 * 2 ** 30
export class WasmBackend implements Backend {
  readonly name = 'wasm'
  /** Kernels launched so far. */
  launches = 0
  /** Called for each launch with the kernel's name and what runs it, to measure that. */
  observeLaunch: ((kernel: string, run: () => void) => void) | undefined

  /** The launch that is put off until the next one. */
  readonly held = new LaunchHolder()

  readonly #heap: Heap
  readonly #plans: Readonly<Record<string, KernelPlan>>
  /** Recordings that hold memory. */
  readonly #recordings = new Set<Recording>()
  /** Where launches write their parameters: one block, since a launch ends before the next begins. */
  readonly #block: number
  /** Fields of the largest block. */
  readonly #blockLength: number
  #blockIntegers: Int32Array = new Int32Array(0)
  #blockFloats: Float32Array = new Float32Array(0)
  #blockBuffer: ArrayBufferLike | undefined
  readonly #threads: KernelThreads
  readonly #storages: StorageOwner & { recording: Recording | undefined }

  constructor(options: WasmBackendOptions = {}) {
    const { maximumBytes = MAXIMUM_HEAP } = options
    if (!(maximumBytes >= MINIMUM_HEAP && maximumBytes <= MAXIMUM_HEAP))
      throw new OptionError({
        call: 'createWasmBackend',
        expects: 'maximumBytes between 4 MB and 4 GB',
        got: String(maximumBytes),
        remedy: 'Leave it out for 4 GB.',
      })
    const threads = initialThreads('createWasmBackend', options.threads)
    const instance = instantiateKernels({ maximumBytes, shared: options.shared })
    const { host, memory } = instance
    this.#heap = new Heap(memory, host.heapBase(), instance.maximumBytes)
    this.#heap.makeRoom = () => this.#releaseRecordings()
    this.#storages = { heap: this.#heap, recording: undefined, held: this.held, live: { storages: 0, bytes: 0 } }
    const plans = kernelPlans(instance)
    this.#plans = Object.assign(Object.create(null), Object.fromEntries(plans.map((plan) => [plan.name, plan])))
    host.setScratch(this.#heap.allocate(host.scratchBytes()))
    this.#blockLength = Math.max(...plans.map(({ fields }) => fields.length))
    this.#block = this.#heap.allocate(4 * this.#blockLength)
    const names = plans.map(({ name }) => name)
    this.#threads = new KernelThreads({ instance, heap: this.#heap, names }, threads)
  }

  allocate(length: number, elementType: ElementType): Storage {
    return new WasmStorage(this.#storages, elementType, length)
  }

  /** The address of a storage's first element, for a kernel's block. */
  pointer(storage: Storage): number {
    if (storage instanceof WasmStorage && storage.owner === this.#storages) return storage.pointer()
    throw new BackendError({
      call: 'the wasm backend',
      expects: 'an array of this backend',
      got: storage instanceof WasmStorage ? 'one of another wasm backend' : `one of the ${storage.backend} backend`,
      remedy: 'Create the arrays of one computation on one backend.',
    })
  }

  /** Lends `use` that many bytes of uninitialised memory, aligned to 64, until it returns. */
  withTemporary<T>(bytes: number, use: (address: number) => T): T {
    const source = this.#storages.recording ?? this.#heap
    const address = source.allocate(bytes)
    try {
      const result = use(address)
      // it may be a launch that was put off that uses the memory
      this.held.settle()
      return result
    } finally {
      source.free(address, bytes)
    }
  }

  /** Lends `use` the address of a kernel's block until it returns, for a kernel that does another's work among its own. */
  withBlock<K extends KernelName, T>(name: K, block: KernelBlock<K>, use: (address: number) => T): T {
    return this.withBlocks(name, [block], use)
  }

  /** The same for several blocks of one kernel, which lie one behind the other. */
  withBlocks<K extends KernelName, T>(
    name: K,
    blocks: readonly KernelBlock<K>[],
    use: (address: number, bytesOfBlock: number) => T,
  ): T
  withBlocks<T>(
    name: string,
    blocks: readonly Readonly<Record<string, number>>[],
    use: (address: number, bytesOfBlock: number) => T,
  ): T {
    const plan = this.#plans[name]!
    const bytes = 4 * plan.fields.length
    const { recording } = this.#storages
    const write = (address: number) => {
      for (const [i, block] of blocks.entries()) this.#writeBlock(plan, block, address + bytes * i)
      return use(address, bytes)
    }
    return recording === undefined
      ? this.withTemporary(bytes * blocks.length, write)
      : write(recording.allocateParameters(bytes * blocks.length))
  }

  #writeBlock(plan: KernelPlan, block: Readonly<Record<string, number>>, address: number): void {
    const { buffer } = this.#heap
    const count = plan.fields.length
    writeBlock(plan, block, new Int32Array(buffer, address, count), new Float32Array(buffer, address, count))
    this.#storages.recording?.parametersAt(address, plan, block)
  }

  /** Runs a kernel over all items, on the calling thread alone when they are no more than `grain`; ends when it ends. */
  launch<K extends KernelName>(name: K, block: KernelBlock<K>, work: Work): void
  launch(name: string, block: Readonly<Record<string, number>>, { items, grain }: Work): void {
    this.held.settle()
    const plan = this.#plans[name]!
    const { recording } = this.#storages
    if (recording !== undefined) {
      const address = recording.allocateParameters(4 * plan.fields.length)
      this.#writeBlock(plan, block, address)
      recording.launched({ plan, block: address, items, grain })
      this.#run(plan, address, items, grain)
      return
    }
    if (this.#blockBuffer !== this.#heap.buffer) this.#renewBlockViews()
    writeBlock(plan, block, this.#blockIntegers, this.#blockFloats)
    this.#run(plan, this.#block, items, grain)
  }

  #run(plan: KernelPlan, block: number, items: number, grain: number | undefined): void {
    this.launches++
    if (items <= 0) return
    if (this.observeLaunch) this.observeLaunch(plan.name, () => this.#threads.run(plan, block, items, grain))
    else this.#threads.run(plan, block, items, grain)
  }

  #renewBlockViews(): void {
    const { buffer } = this.#heap
    this.#blockIntegers = new Int32Array(buffer, this.#block, this.#blockLength)
    this.#blockFloats = new Float32Array(buffer, this.#block, this.#blockLength)
    this.#blockBuffer = buffer
  }

  // --- Recording --------------------------------------------------------------------------------------------------------

  /**
   * Runs `compute` and writes its launches down. The recording is missing where something else happened that counts: the host
   * read what was computed or what changes, or {@link refuseRecording} was called. What `compute` gives is then there all the
   * same. A recording holds memory until it is released.
   */
  record<T>(data: RecordedData, compute: () => T): { readonly result: T; readonly recording?: Recording } {
    const recording = new Recording(
      this.#heap,
      data,
      data.inputs.map((input) => this.pointer(input)),
    )
    this.held.settle()
    this.#recordings.add(recording)
    this.#storages.recording = recording
    let isDone = false
    try {
      const result = compute()
      this.held.settle()
      isDone = !recording.isRefused
      return isDone ? { result, recording } : { result }
    } finally {
      this.#storages.recording = undefined
      if (!isDone) this.releaseRecording(recording)
    }
  }

  /** Whether launches are being written down. */
  get isRecording(): boolean {
    return this.#storages.recording !== undefined
  }

  /**
   * Gives what a recording computed to whoever holds it: later runs take storages for them too, behind the inputs, and write there.
   * False, with nothing done, where the launches did not write all that is in them.
   */
  giveResults(recording: Recording, results: readonly Storage[]): boolean {
    const own = results.filter((one) => one instanceof WasmStorage && one.isComputedBy(recording)) as WasmStorage[]
    if (own.length < results.length) return false
    recording.addPlaces(own)
    for (const storage of own) storage.leaveRecording()
    return true
  }

  /** Runs the launches of a recording again, with these inputs in the places of those that it was made with. */
  replay(recording: Recording, inputs: readonly Storage[]): void {
    recording.relocate(inputs.map((input) => this.pointer(input)))
    for (const { plan, block, items, grain } of recording.launches) this.#run(plan, block, items, grain)
  }

  /** Whether a storage was allocated in a recording: what it holds is made by the launches, or always the same. */
  isOf(recording: Recording, storage: Storage): boolean {
    return storage instanceof WasmStorage && storage.isOf(recording)
  }

  releaseRecording(recording: Recording): void {
    this.#recordings.delete(recording)
    recording.release()
  }

  /** Something happens that launches do not show: what is being recorded, if anything, cannot run again. */
  refuseRecording(): void {
    this.#storages.recording?.refuse()
  }

  /** Whether there were recordings to release, but for one that is being made. */
  #releaseRecordings(): boolean {
    const { recording } = this.#storages
    const others = [...this.#recordings].filter((one) => one !== recording)
    for (const one of others) this.releaseRecording(one)
    return others.length > 0
  }

  // --- Threads ----------------------------------------------------------------------------------------------------------

  /** Threads that run kernels once the workers have started, the calling one included. */
  get threads(): number {
    return this.#threads.count
  }

  /** Starts or stops workers so that `threads` run kernels, the calling one included; 1 to 256. */
  setThreads(threads: number): void {
    this.#threads.set('setThreads', threads)
  }

  /** Resolves when every worker runs, or is known not to start; until then kernels run on the threads that are there. */
  async ready(): Promise<void> {
    await this.#threads.started()
  }

  /** Ends the workers; resolves when they have ended. Arrays stay readable, and kernels run on the calling thread. */
  async dispose(): Promise<void> {
    await this.#threads.stop()
  }

  // --- Reports ----------------------------------------------------------------------------------------------------------

  info(): BackendInfo {
    const { threads } = this
    const { singleBecause } = this.#threads
    return { name: this.name, threads, simd: true, ...(singleBecause && { singleThreadedBecause: singleBecause }) }
  }

  memory(): BackendMemory {
    return {
      bytesInUse: this.#storages.live.bytes,
      bytesPooled: this.#heap.bytesPooled,
      bytesReserved: this.#heap.bytesReserved,
      storages: this.#storages.live.storages,
    }
  }

  /** The largest size of the heap. */
  get maximumBytes(): number {
    return this.#heap.limit
  }

  /** Bytes cut from memory that no free block held, in all; stands still while a loop only reuses what it freed. */
  get bytesFresh(): number {
    return this.#heap.bytesFresh
  }

  /** Names the largest live arrays, one line each, for the error of a full heap. */
  set describeLargest(describe: (() => string) | undefined) {
    this.#heap.describeLargest = describe
  }
}

/** Memory, kernels and threads of their own; starts the workers in the background. */
export function createWasmBackend(options: WasmBackendOptions = {}): WasmBackend {
  return new WasmBackend(options)
}
