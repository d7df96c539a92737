// Memory for arrays inside one WebAssembly memory: a freed block waits in a list for the next allocation of its size,
// so that a loop takes nothing new from its second pass on. Touches the memory's size, never its content.

import { MemoryError } from '../../errors.js'

const PAGE = 65536
/** Blocks begin at multiples of this many bytes: a cache line, and four SIMD vectors. */
const ALIGNMENT = 64
/**
 * Where nothing was used yet, blocks from so many bytes on begin at a page of the processor's: kernels that take a page of every
 * row touch one each then, and not two. Such blocks are whole pages.
 */
const PAGED_BYTES = 64 << 10
const PROCESSOR_PAGE = 4096
/** The heap grows by at least this share of its size, up to {@link GROWTH_BYTES} at once. */
const GROWTH_SHARE = 1 / 4
const GROWTH_BYTES = 64 << 20
/** A smaller heap grows without looking whether free blocks could be joined instead. */
const JOIN_BYTES = 256 << 20
/** Above this size an eighth would be too many bytes to waste; the step stays what it is there, 4 MB. */
const LARGE_BYTES = 64 << 20

/** A run of free bytes that belongs to no list: what is left after neighbouring free blocks were joined. */
interface Span {
  address: number
  bytes: number
}

/**
 * The bytes that `bytes` take: a multiple of 64 with eight steps per power of two, so that sizes close to each other
 * share a list and less than 1/8 is wasted (blocks under 512 bytes: less than 64 bytes).
 */
export function blockBytes(bytes: number): number {
  const scale = Math.min(Math.max(bytes, 1), LARGE_BYTES)
  const step = Math.max(ALIGNMENT, 2 ** (28 - Math.clz32(scale - 1)))
  return Math.max(Math.ceil(bytes / step) * step, ALIGNMENT)
}

/** `1536` -> `1.5 KB`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB']
  let unit = 0
  let value = bytes
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${unit === 0 ? value : value.toPrecision(value >= 1000 ? 4 : 3)} ${units[unit]}`
}

export class Heap {
  /** The memory's bytes. Replaced when the heap grows; views made before may be detached or too short. */
  buffer: ArrayBufferLike
  /** The largest size of the memory, in bytes. */
  readonly limit: number
  /** In blocks that are allocated. */
  bytesInUse = 0
  /** In free blocks and spans. */
  bytesPooled = 0
  /** Cut from memory that no list held, over the life of the heap: stands still while a loop repeats itself. */
  bytesFresh = 0
  /** Names the largest live arrays, one line each; set by the layer that knows them. */
  describeLargest?: () => string
  /** Frees blocks that can be done without, when there is no room: whether it found any. */
  makeRoom?: () => boolean

  readonly #memory: WebAssembly.Memory
  /** Free blocks by their size. */
  readonly #lists = new Map<number, number[]>()
  #bytesListed = 0
  /** Most bytes that were in use at once. */
  #peak = 0
  #spans: Span[] = []
  /** Everything from here to the end of the buffer has never been used, or is free again. */
  #top: number

  /** Allocates from `base` on, and lets the memory grow to `limit` bytes. */
  constructor(memory: WebAssembly.Memory, base: number, limit: number) {
    this.#memory = memory
    this.limit = limit
    this.#top = Math.ceil(base / ALIGNMENT) * ALIGNMENT
    this.buffer = memory.buffer
  }

  get bytesReserved(): number {
    return this.buffer.byteLength
  }

  /** The address of uninitialised memory for `bytes`, a multiple of 64. Throws {@link MemoryError} when full. */
  allocate(bytes: number): number {
    const size = blockBytes(bytes)
    const free = this.#lists.get(size)?.pop()
    if (free !== undefined) {
      this.bytesPooled -= size
      this.#bytesListed -= size
      this.#use(size)
      return free
    }
    const address = this.#cut(size) ?? (this.makeRoom?.() ? this.#cut(size) : undefined)
    if (address === undefined) throw this.#full(bytes)
    this.bytesFresh += size
    this.#use(size)
    return address
  }

  /** Gives back a block with the size it was allocated with. */
  free(address: number, bytes: number): void {
    const size = blockBytes(bytes)
    const list = this.#lists.get(size)
    if (list) list.push(address)
    else this.#lists.set(size, [address])
    this.#bytesListed += size
    this.bytesPooled += size
    this.bytesInUse -= size
  }

  #use(size: number): void {
    this.bytesInUse += size
    if (this.bytesInUse > this.#peak) this.#peak = this.bytesInUse
  }

  #cut(size: number): number | undefined {
    // A heap far larger than what was ever in use consists of blocks of other sizes: better to join those than to grow.
    if (this.bytesReserved > Math.max(JOIN_BYTES, 2 * this.#peak)) this.#join()
    const address = this.#fromSpan(size) ?? this.#fromTop(size)
    if (address !== undefined || this.#bytesListed === 0) return address
    this.#join()
    return this.#fromSpan(size) ?? this.#fromTop(size)
  }

  /** From the smallest span that is large enough. */
  #fromSpan(size: number): number | undefined {
    let best: Span | undefined
    for (const span of this.#spans) if (span.bytes >= size && (!best || span.bytes < best.bytes)) best = span
    if (!best) return undefined
    const { address } = best
    best.address += size
    best.bytes -= size
    if (best.bytes === 0) this.#spans.splice(this.#spans.indexOf(best), 1)
    this.bytesPooled -= size
    return address
  }

  #fromTop(size: number): number | undefined {
    const address = size < PAGED_BYTES ? this.#top : Math.ceil(this.#top / PROCESSOR_PAGE) * PROCESSOR_PAGE
    const end = address + size
    if (end > this.bytesReserved && !this.#grow(end)) return undefined
    const gap = address - this.#top
    if (gap > 0) {
      this.#spans.push({ address: this.#top, bytes: gap })
      this.bytesPooled += gap
    }
    this.#top = end
    return address
  }

  #grow(end: number): boolean {
    const reserved = this.bytesReserved
    const generous = Math.max(end, reserved + Math.min(reserved * GROWTH_SHARE, GROWTH_BYTES))
    for (const target of [Math.min(generous, this.limit), end]) {
      if (target < end || target > this.limit) continue
      try {
        this.#memory.grow(Math.ceil((target - reserved) / PAGE))
        this.buffer = this.#memory.buffer
        return true
      } catch {
        // The system has less than that; the loop asks for no more than is needed before it gives up.
      }
    }
    return false
  }

  /** Empties every list into spans, neighbours joined; a span that reaches the unused end becomes part of it. */
  #join(): void {
    const free = this.#spans
    for (const [bytes, list] of this.#lists) for (const address of list) free.push({ address, bytes })
    free.sort((a, b) => a.address - b.address)
    this.#lists.clear()
    this.#bytesListed = 0
    const joined: Span[] = []
    let last: Span | undefined
    for (const span of free) {
      if (last && last.address + last.bytes === span.address) last.bytes += span.bytes
      else {
        last = span
        joined.push(span)
      }
    }
    if (last && last.address + last.bytes === this.#top) {
      this.#top = last.address
      this.bytesPooled -= last.bytes
      joined.pop()
    }
    this.#spans = joined
  }

  #full(bytes: number): MemoryError {
    const largest = this.describeLargest?.()
    return new MemoryError({
      call: 'allocate',
      expects: `room for ${formatBytes(bytes)} in the WebAssembly heap`,
      got:
        `${formatBytes(this.bytesInUse)} in use, ${formatBytes(this.bytesPooled)} free in pieces that are too small, ` +
        `${formatBytes(this.bytesReserved)} taken from the system, limit ${formatBytes(this.limit)}` +
        (largest ? `; the largest live arrays:\n${largest}` : ''),
      remedy: 'Use a smaller mini-batch, or run your own arithmetic inside scope(...) so that intermediate arrays go.',
    })
  }
}
