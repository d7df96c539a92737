import type { BackendName, ElementType, Storage } from '../array/storage.js'

/** What `backendInfo()` reports. */
export interface BackendInfo {
  readonly name: BackendName
  /** Threads that run kernels, the calling one included. */
  readonly threads: number
  /** Whether kernels use 128-bit SIMD. */
  readonly simd: boolean
  /** Why kernels run on one thread; absent when they run on several. */
  readonly singleThreadedBecause?: string
}

/** What a backend's memory holds at the moment, in bytes. */
export interface BackendMemory {
  /** Held by live arrays. */
  readonly bytesInUse: number
  /** Freed and kept for the next allocation of that size. */
  readonly bytesPooled: number
  /** Taken from the system in all, kernels' working memory included. */
  readonly bytesReserved: number
  /** Live storages. */
  readonly storages: number
}

/** A place that holds arrays' elements and runs kernels over them. */
export interface Backend {
  readonly name: BackendName
  /** Uninitialised memory for `length` elements. Throws {@link MemoryError} when the heap is full. */
  allocate(length: number, elementType: ElementType): Storage
  info(): BackendInfo
  memory(): BackendMemory
}
