import type { FlatData } from './array-data.js'

/** Flat elements in a typed array. */
export type TypedElements = Exclude<FlatData, readonly number[]>

/** Where runs are collected before they go on; it stays in the cache. */
const room = new Uint8Array(16 << 10)

/** The bytes of a typed array. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/**
 * Copies `count` runs of `length` elements, of which run `i` begins at `start(i)`, one behind the other to the beginning of
 * `to`, and converts them where it is of another kind.
 */
export function copyRuns(
  from: FlatData,
  start: (run: number) => number,
  { count, length }: { readonly count: number; readonly length: number },
  to: TypedElements,
): void {
  if (!ArrayBuffer.isView(from)) {
    for (let run = 0; run < count; run++) to.set(from.slice(start(run), start(run) + length), run * length)
    return
  }
  if (from[Symbol.toStringTag] !== to[Symbol.toStringTag]) {
    for (let run = 0; run < count; run++) to.set(from.subarray(start(run), start(run) + length), run * length)
    return
  }
  const width = from.BYTES_PER_ELEMENT
  copyRunsOfBytes(bytesOf(from), (run) => start(run) * width, count, length * width, bytesOf(to))
}

/**
 * Engines copy into memory that threads share word by word, or byte by byte where a run does not begin at a word. Short runs are
 * therefore collected in memory of their own, and go on many at once.
 */
function copyRunsOfBytes(
  from: Uint8Array,
  start: (run: number) => number,
  count: number,
  length: number,
  to: Uint8Array,
): void {
  if (length >= room.length) {
    for (let run = 0; run < count; run++) to.set(from.subarray(start(run), start(run) + length), run * length)
    return
  }
  let filled = 0
  let done = 0
  const passOn = () => {
    to.set(room.subarray(0, filled), done)
    done += filled
    filled = 0
  }
  for (let run = 0; run < count; run++) {
    const end = start(run) + length
    for (let at = start(run); at < end; ) {
      const next = Math.min(end, at + room.length - filled)
      room.set(from.subarray(at, next), filled)
      filled += next - at
      at = next
      if (filled === room.length) passOn()
    }
  }
  if (filled > 0) passOn()
}
