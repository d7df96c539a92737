import type { Storage } from '../../array/storage.js'
import { wasmBackend } from '../../backends/current.js'
import { MemoryError } from '../../errors.js'
import type { FlatData } from './array-data.js'
import { bytesOf, copyRuns, type TypedElements } from './copy-runs.js'

// Mini-batches of data in memory are gathered by a kernel: the elements go to the heap as they are, bytes as bytes, and become
// floats there, on all threads. Engines convert element by element, and slowly in memory that threads share.

/** Kinds of elements in the numbering of kernels/arrays/gather.ts, by the names of their arrays. */
const kinds: Readonly<Record<string, number>> = {
  Uint8Array: 0,
  Uint8ClampedArray: 0,
  Int8Array: 1,
  Uint16Array: 2,
  Int16Array: 3,
  Uint32Array: 4,
  Int32Array: 5,
  Float32Array: 6,
  Float64Array: 7,
}
const FLOAT32 = kinds.Float32Array!

/** The share of the heap that a copy of one data set may take. */
const LARGEST_SHARE = 1 / 16

/** Elements that a thread takes at least. */
const LEAST_ELEMENTS = 4096

/** Elements of a data set in the heap. */
export interface HeapElements {
  readonly storage: Storage
  readonly kind: number
}

/** Observations, and where their elements are in the data set. */
export interface Choice {
  /** Those in places `first` to `first + count - 1` of `order`; these themselves without it. */
  readonly order: ArrayLike<number> | undefined
  readonly first: number
  readonly count: number
  /** Elements from one observation to the next. */
  readonly step: number
  /** Elements of an observation before B in the mini-batch, and how many times as many come after it. */
  readonly inner: number
  readonly outer: number
  /** Place of each element behind the first one of its observation; undefined where that is 0, 1, 2, ... */
  readonly offsets: Uint32Array | undefined
}

/** The number of a kind of elements; undefined for what the kernel does not take. */
function kindOf(values: TypedElements): number | undefined {
  return kinds[values[Symbol.toStringTag]]
}

/** Memory of the heap for so many bytes, and a view of them. */
function room(bytes: number): { storage: Storage; view: Uint8Array } {
  const storage = wasmBackend()
    .allocate(Math.ceil(bytes / 4), 'float32')
    .retain()
  return { storage, view: bytesOf(storage.view()).subarray(0, bytes) }
}

/** The elements of an array in the heap. */
export function inHeap(storage: Storage): HeapElements | undefined {
  return storage.backend === 'wasm' ? { storage, kind: FLOAT32 } : undefined
}

/**
 * A copy of a data set's elements in the heap, as they are, which whoever asked releases; undefined where they are of a kind
 * that the kernel does not take, or too many.
 */
export function heapCopy(values: FlatData): HeapElements | undefined {
  if (!ArrayBuffer.isView(values)) return undefined
  const kind = kindOf(values)
  if (kind === undefined || values.byteLength > wasmBackend().maximumBytes * LARGEST_SHARE) return undefined
  try {
    const { storage, view } = room(values.byteLength)
    view.set(bytesOf(values))
    return { storage, kind }
  } catch (error) {
    // What does not fit goes mini-batch by mini-batch.
    if (error instanceof MemoryError) return undefined
    throw error
  }
}

/** Gathers observations of a data set in the heap into an array in the heap. */
export function gatherFromHeap({ storage, kind }: HeapElements, to: Storage, choice: Choice): void {
  const { order, first, count, step, inner, outer, offsets } = choice
  const items = count * outer
  if (items * inner === 0) return
  const wasm = wasmBackend()
  const indices = (order ? count : 0) + (offsets?.length ?? 0)
  const list = indices > 0 ? wasm.allocate(indices, 'float32').retain() : undefined
  try {
    if (list) {
      const { buffer, byteOffset } = list.view()
      const words = new Uint32Array(buffer, byteOffset, indices)
      if (order) for (let b = 0; b < count; b++) words[b] = order[first + b]!
      if (offsets) words.set(offsets, indices - offsets.length)
    }
    const address = list ? wasm.pointer(list) : 0
    wasm.launch(
      'gather',
      {
        x: wasm.pointer(storage),
        y: wasm.pointer(to),
        order: order ? address : 0,
        offsets: offsets ? address + 4 * (order ? count : 0) : 0,
        first,
        step,
        inner,
        observations: count,
        kind,
      },
      // Fewer elements are gathered faster than another thread begins.
      { items, grain: Math.ceil(LEAST_ELEMENTS / inner) },
    )
  } finally {
    list?.release()
  }
}

/**
 * Gathers observations, each one run of elements, which go to the heap for that. False, with nothing done, where it is of no use:
 * elements that need no conversion, or are of a kind that the kernel does not take.
 */
export function gatherThroughHeap(values: FlatData, to: Storage, choice: Choice): boolean {
  const { order, first, count, step, inner, outer, offsets } = choice
  if (!ArrayBuffer.isView(values) || offsets || outer !== 1) return false
  const kind = kindOf(values)
  if (kind === undefined || kind === FLOAT32) return false
  const width = values.BYTES_PER_ELEMENT
  const { storage, view } = room(count * inner * width)
  try {
    const bytes = bytesOf(values)
    const start = (b: number) => (order ? order[first + b]! : first + b) * step * width
    // Observations that follow one another are one run.
    const runs = order || step !== inner ? count : 1
    copyRuns(bytes, start, { count: runs, length: (count / runs) * inner * width }, view)
    gatherFromHeap({ storage, kind }, to, { order: undefined, first: 0, count, step: inner, inner, outer, offsets })
  } finally {
    storage.release()
  }
  return true
}
