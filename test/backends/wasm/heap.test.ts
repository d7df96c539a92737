import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { blockBytes, formatBytes, Heap } from '../../../src/backends/wasm/heap.js'
import { MemoryError } from '../../../src/errors.js'

const BASE = 1000
const LIMIT = 4 << 20

function smallHeap(): Heap {
  return new Heap(new WebAssembly.Memory({ initial: 16, maximum: LIMIT / 65536 }), BASE, LIMIT)
}

interface Block {
  address: number
  bytes: number
}

/** Allocates (a size) and frees (an index among the live blocks), as an array of one or the other. */
const steps = fc.array(
  fc.oneof(
    fc.record({ bytes: fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 600_000 })) }),
    fc.record({ free: fc.nat({ max: 1000 }) }),
  ),
  { maxLength: 120 },
)

function play(heap: Heap, moves: readonly ({ bytes: number } | { free: number })[], live: Block[]): void {
  for (const move of moves) {
    if ('bytes' in move) {
      try {
        live.push({ address: heap.allocate(move.bytes), bytes: move.bytes })
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryError)
      }
    } else if (live.length > 0) {
      const [block] = live.splice(move.free % live.length, 1)
      heap.free(block!.address, block!.bytes)
    }
  }
}

describe('blockBytes', () => {
  it('wastes less than an eighth, or less than 64 bytes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 }), (bytes) => {
        const block = blockBytes(bytes)
        expect(block % 64).toBe(0)
        expect(block).toBeGreaterThanOrEqual(Math.max(bytes, 64))
        expect(block - bytes <= 64 || block - bytes < bytes / 8).toBe(true)
        expect(blockBytes(block)).toBe(block)
      }),
    )
  })
})

describe('formatBytes', () => {
  it('chooses the unit', () => {
    expect([0, 1023, 1536, 4 << 20, 4 * 2 ** 30].map(formatBytes)).toEqual([
      '0 bytes',
      '1023 bytes',
      '1.50 KB',
      '4.00 MB',
      '4.00 GB',
    ])
  })
})

describe('Heap', () => {
  it('begins large blocks at a page, and uses what lies before', () => {
    const heap = smallHeap()
    const small = heap.allocate(100)
    const large = heap.allocate(100_000)
    expect(large % 4096).toBe(0)
    expect(heap.bytesPooled).toBe(large - small - blockBytes(100))
    const between = heap.allocate(1000)
    expect(between).toBeGreaterThan(small)
    expect(between).toBeLessThan(large)
  })

  it('never hands out the same byte twice, aligned and inside the memory', () => {
    fc.assert(
      fc.property(steps, (moves) => {
        const heap = smallHeap()
        const live: Block[] = []
        play(heap, moves, live)
        const sorted = [...live].sort((a, b) => a.address - b.address)
        let end = BASE
        for (const { address, bytes } of sorted) {
          expect(address % 64).toBe(0)
          expect(address).toBeGreaterThanOrEqual(end)
          end = address + bytes
        }
        expect(end).toBeLessThanOrEqual(heap.buffer.byteLength)
        expect(heap.bytesInUse).toBe(live.reduce((sum, { bytes }) => sum + blockBytes(bytes), 0))
        expect(BASE + heap.bytesInUse + heap.bytesPooled).toBeLessThanOrEqual(heap.bytesReserved + 64)
        expect(heap.bytesReserved).toBeLessThanOrEqual(LIMIT)
      }),
      { numRuns: 200 },
    )
  })

  it('is whole again when everything was freed', () => {
    fc.assert(
      fc.property(steps, (moves) => {
        const heap = smallHeap()
        const live: Block[] = []
        play(heap, moves, live)
        for (const { address, bytes } of live) heap.free(address, bytes)
        expect(heap.bytesInUse).toBe(0)
        expect(heap.allocate(3.75 * 2 ** 20) % 64).toBe(0)
      }),
      { numRuns: 200 },
    )
  })

  it('takes nothing new when a loop repeats itself', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 50 })
    fc.assert(
      fc.property(sizes, (wanted) => {
        const heap = smallHeap()
        const pass = () => {
          const blocks = wanted.map((bytes) => ({ address: heap.allocate(bytes), bytes }))
          for (const { address, bytes } of blocks) heap.free(address, bytes)
        }
        pass()
        const { bytesFresh, bytesReserved } = heap
        pass()
        pass()
        expect([heap.bytesFresh, heap.bytesReserved]).toEqual([bytesFresh, bytesReserved])
      }),
    )
  })

  it('names what it has when it is full, and goes on after something was freed', () => {
    const heap = smallHeap()
    heap.describeLargest = () => '  X 1(S) x 1(S), 1.00 MB'
    const blocks: number[] = []
    const fill = () => {
      for (;;) blocks.push(heap.allocate(64 << 10))
    }
    expect(fill).toThrow(MemoryError)
    expect(fill).toThrow(
      /expected room for 64\.0 KB .* got 3\.9\d MB in use, .* limit 4\.00 MB; the largest live arrays:\n {2}X 1\(S\)/,
    )
    expect(blocks.length).toBeGreaterThan(60)
    for (const address of blocks.slice(10, 20)) heap.free(address, 64 << 10)
    expect(heap.allocate(640 << 10)).toBe(blocks[10])
    expect(() => heap.allocate(64 << 10)).toThrow(MemoryError)
  })

  it('reaches addresses beyond 2 GB', () => {
    const limit = 3 * 2 ** 30
    const heap = new Heap(new WebAssembly.Memory({ initial: 16, maximum: limit / 65536 }), BASE, limit)
    heap.allocate(2.25 * 2 ** 30)
    const address = heap.allocate(4096)
    expect(address).toBeGreaterThan(2 ** 31)
    const values = new Float32Array(heap.buffer, address, 1024).fill(2)
    expect(values[1023]).toBe(2)
    heap.free(address, 4096)
    expect(heap.allocate(4096)).toBe(address)
  })
})
