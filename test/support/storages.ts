import { liveHolds } from '../../src/array/dlarray.js'
import { startedBackends } from '../../src/backends/current.js'

/** Arrays, storages and bytes alive on all backends: compared before and after. */
export function alive(): { arrays: number; storages: number; bytes: number } {
  const backends = startedBackends().map((backend) => backend.memory())
  return {
    arrays: liveHolds().size,
    storages: backends.reduce((total, { storages }) => total + storages, 0),
    bytes: backends.reduce((total, { bytesInUse }) => total + bytesInUse, 0),
  }
}
