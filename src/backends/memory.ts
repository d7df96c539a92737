import { type LiveArray, largestArrays, liveArrayCount } from '../memory/live.js'
import type { BackendMemory } from './backend.js'
import { startedBackends } from './current.js'

/** What {@link memory} reports. Sizes are in bytes. */
export interface MemoryReport extends BackendMemory {
  /** Arrays that have not been freed; several may share one storage. */
  readonly arrays: number
  /** The same figures for each backend that has been used. */
  readonly backends: { readonly [name: string]: BackendMemory }
  /** The largest storages in use, largest first, at most ten. */
  readonly largest: readonly LiveArray[]
}

/** How many arrays a report names. */
const NAMED_ARRAYS = 10

/** What arrays hold at the moment: on all backends together, on each of them, and the largest. Flat in a loop that frees. */
export function memory(): MemoryReport {
  const backends = Object.fromEntries(startedBackends().map((backend) => [backend.name, backend.memory()]))
  const total = (field: keyof BackendMemory) =>
    Object.values(backends).reduce((sum, backend) => sum + backend[field], 0)
  return {
    arrays: liveArrayCount(),
    storages: total('storages'),
    bytesInUse: total('bytesInUse'),
    bytesPooled: total('bytesPooled'),
    bytesReserved: total('bytesReserved'),
    backends,
    largest: largestArrays(NAMED_ARRAYS),
  }
}
