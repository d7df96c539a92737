import { type ArrayInfo, type Hold, liveHolds } from '../array/dlarray.js'
import { describe } from '../array/format.js'
import type { Storage } from '../array/storage.js'

/** One storage in use and an array that holds it. */
export interface LiveArray extends ArrayInfo {
  readonly bytes: number
  /** `'20(S) x 20(S) x 3(C), single, 4800 bytes'`, with the line that made it where that is tracked. */
  readonly text: string
}

/** The largest storages in use, largest first; arrays that share one count once. */
export function largestArrays(count: number, accept: (storage: Storage) => boolean = () => true): LiveArray[] {
  const byStorage = new Map<Storage, Hold>()
  for (const hold of liveHolds()) {
    const { storage } = hold
    if (storage && !byStorage.has(storage) && accept(storage)) byStorage.set(storage, hold)
  }
  return [...byStorage]
    .sort(([a], [b]) => b.bytes - a.bytes)
    .slice(0, count)
    .map(([{ bytes }, hold]) => {
      const { size, dims, type } = hold
      const line = callerIn(hold.stack)
      return {
        size,
        dims,
        type,
        bytes,
        text: `${describe(hold)}, ${type}, ${bytes} bytes${line === undefined ? '' : `, made at ${line}`}`,
      }
    })
}

/** Arrays that have not been freed, views included. */
export function liveArrayCount(): number {
  return liveHolds().size
}

/** The first line of a stack that is outside this library's own files. */
function callerIn(stack: string | undefined): string | undefined {
  if (stack === undefined) return undefined
  const [, ...lines] = stack.split('\n').map((line) => line.trim().replace(/^at /, ''))
  // Where the library is bundled into one file there is no folder to tell it by.
  const library = URL.canParse('..', import.meta.url) ? new URL('..', import.meta.url).pathname : undefined
  return lines.find((line) => library === undefined || !line.includes(library)) ?? lines[0]
}
