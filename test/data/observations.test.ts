import { afterEach, describe, expect, it, vi } from 'vitest'
import { setBackend, setThreads, wasmBackend } from '../../src/backends/current.js'
import { memory } from '../../src/backends/memory.js'
import type { NumericData } from '../../src/data/minibatch.js'
import { denseObservations } from '../../src/data/observations.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { RandomStream } from '../../src/operations/arrays/random.js'

const stream = new RandomStream(5)
const COUNT = 37

/** Numbers at and between the ends of what a kind holds; some that a float cannot hold exactly. */
const uniform = (low: number, high: number) => (_: unknown, i: number) =>
  i === 0 ? low : i === 1 ? high : low + (high - low) * stream.uniform()

const kinds = {
  Uint8Array: (length: number) => Uint8Array.from({ length }, uniform(0, 255)),
  Uint8ClampedArray: (length: number) => Uint8ClampedArray.from({ length }, uniform(0, 255)),
  Buffer: (length: number) => Buffer.from(Uint8Array.from({ length }, uniform(0, 255))),
  Int8Array: (length: number) => Int8Array.from({ length }, uniform(-128, 127)),
  Uint16Array: (length: number) => Uint16Array.from({ length }, uniform(0, 65535)),
  Int16Array: (length: number) => Int16Array.from({ length }, uniform(-32768, 32767)),
  Uint32Array: (length: number) => Uint32Array.from({ length }, uniform(0, 2 ** 32 - 1)),
  Int32Array: (length: number) => Int32Array.from({ length }, uniform(-(2 ** 31), 2 ** 31 - 1)),
  Float32Array: (length: number) => Float32Array.from({ length }, uniform(-1e4, 1e4)),
  Float64Array: (length: number) => Float64Array.from({ length }, uniform(-1e300, 1e300)),
  list: (length: number) => Array.from({ length }, uniform(-1, 1)),
}

/** Layouts in memory: observations one behind the other, and in every other place. */
const layouts = [
  { format: 'SSCB', size: [5, 3, 2, COUNT] },
  { format: 'CB', size: [70, COUNT] },
  { format: 'BC', size: [COUNT, 6] },
  { format: 'BSSC', size: [COUNT, 3, 4, 2] },
  { format: 'CBT', size: [6, COUNT, 5] },
  { format: 'TCB', size: [5, 3, COUNT] },
  { format: 'SSCB', size: [90, 60, 1, COUNT] },
]

const order = Uint32Array.from(stream.permutation(COUNT))

function batches(data: NumericData, format: string | undefined, isKept: boolean) {
  const observations = denseObservations(data, format, 'X', 'test', { type: 'single', isKept })
  const ranges = [
    [undefined, 0, COUNT],
    [undefined, 4, 9],
    [order, 0, 16],
    [order, 16, COUNT],
    [order, 3, 3],
  ] as const
  const found = ranges.map(([chosen, first, end]) => {
    const batch = observations.gather(chosen, first, end)
    const { size, dims } = batch
    const bits = Buffer.from(new Float32Array(batch.values()).buffer).toString('base64')
    batch.dispose()
    return { size, dims, bits }
  })
  observations.release?.()
  return found
}

afterEach(() => {
  setBackend('wasm')
  setThreads(1)
  vi.restoreAllMocks()
})

describe.each([1, 2])('on %d threads', (threads) => {
  it.each(Object.entries(kinds))(
    'mini-batches of %s have the elements that the host would convert',
    async (_, make) => {
      setThreads(threads)
      await wasmBackend().ready()
      for (const { format, size } of layouts) {
        const values = make(size.reduce((a, b) => a * b))
        setBackend('reference')
        const expected = batches({ values, size }, format, false)
        setBackend('wasm')
        const before = memory().bytesInUse
        for (const isKept of [false, true]) expect(batches({ values, size }, format, isKept)).toEqual(expected)
        const array = dlarray(values, size, format)
        expect(batches(array, undefined, true)).toEqual(expected)
        array.dispose()
        expect(memory().bytesInUse).toBe(before)
      }
    },
  )
})

it('keeps no copy of what takes too much of the heap, and one of the rest', () => {
  const values = kinds.Uint8Array(64 * COUNT)
  const gathered = () => {
    const observations = denseObservations({ values, size: [64, COUNT] }, 'CB', 'X', 'test', { isKept: true })
    const before = memory().bytesInUse
    const batch = observations.gather(undefined, 0, 8)
    expect(Array.from(batch.values())).toEqual(Array.from(values.subarray(0, 8 * 64)))
    batch.dispose()
    const kept = memory().bytesInUse - before
    observations.release?.()
    expect(memory().bytesInUse).toBe(before)
    return kept
  }
  expect(gathered()).toBe(values.length)
  vi.spyOn(wasmBackend(), 'maximumBytes', 'get').mockReturnValue(values.length * 15)
  expect(gathered()).toBe(0)
})
