import { afterEach, describe, expect, it } from 'vitest'
import type { Storage } from '../../../src/array/storage.js'
import { createWasmBackend, type WasmBackend, type WasmBackendOptions } from '../../../src/backends/wasm/backend.js'
import { BackendError, MemoryError } from '../../../src/errors.js'
import { launchBinary } from '../../../src/operations/elementwise/binary.js'

const made: WasmBackend[] = []

function backendOf(options: WasmBackendOptions): WasmBackend {
  const backend = createWasmBackend(options)
  made.push(backend)
  return backend
}

afterEach(async () => {
  for (const backend of made.splice(0)) await backend.dispose()
})

const COUNT = 5000

function vector(backend: WasmBackend, value: (i: number) => number): Storage {
  const storage = backend.allocate(COUNT, 'float32').retain()
  const view = storage.view()
  for (let i = 0; i < COUNT; i++) view[i] = value(i)
  return storage
}

/** a + b, in a new storage. */
function plus(backend: WasmBackend, a: Storage, b: Storage): Storage {
  const y = backend.allocate(COUNT, 'float32').retain()
  const loops = { extents: [COUNT], steps: [[1], [1]] }
  launchBinary(backend, 'plus', backend.pointer(a), backend.pointer(b), backend.pointer(y), loops)
  return y
}

/** The sums of squares of the elements of two storages, by one kernel that does the work of another. */
function squares(backend: WasmBackend, arrays: readonly Storage[]): Storage {
  const parts = Math.ceil(COUNT / 4096)
  const sums = backend.allocate(arrays.length * parts, 'float64').retain()
  const at = backend.pointer(sums)
  const blocks = arrays.map((array, i) => {
    const address = backend.pointer(array)
    return { parameter: address, gradient: address, count: COUNT, sums: at + 8 * parts * i, decay: 0 }
  })
  backend.withBlocks('gradientSquares', blocks, (address, bytes) => {
    const all = { blocks: address, bytes, parameters: arrays.length, kernel: 0 }
    backend.launch('updateParameters', all, { items: arrays.length * parts, grain: 1 })
  })
  return sums
}

const total = (storage: Storage) => Array.from(storage.view()).reduce((sum: number, one: number) => sum + one, 0)

describe.each([
  ['one thread', { threads: 1 }],
  ['three threads', { threads: 3 }],
  ['memory that is not shared', { shared: false }],
] as const)('a recording on %s', (_, options) => {
  it('runs again over what its inputs hold, wherever they are', async () => {
    const backend = backendOf(options)
    await backend.ready()
    const fixed = vector(backend, () => 100)
    const first = [vector(backend, (i) => i), vector(backend, () => 1)]
    const { result, recording } = backend.record({ inputs: first, changing: [] }, () => {
      const sum = plus(backend, first[0]!, first[1]!)
      const all = plus(backend, sum, fixed)
      sum.release()
      return { all, squares: squares(backend, [first[0]!, all]) }
    })
    expect([...result.all.view()]).toEqual(Array.from({ length: COUNT }, (_, i) => i + 101))
    expect(backend.launches).toBe(3)

    // The inputs of the first run go, and their memory is given to others.
    for (const input of first) input.release()
    const others = [vector(backend, () => Number.NaN), vector(backend, () => Number.NaN)]
    // The heap grows: views of it are detached where it is not shared.
    const large = backend.allocate(4e6, 'float32').retain()
    const second = [vector(backend, (i) => -i), vector(backend, (i) => i)]
    backend.replay(recording!, second)
    expect(backend.launches).toBe(6)
    expect([...result.all.view()].every((value) => value === 100)).toBe(true)
    const sumOfSquares = (COUNT * (COUNT - 1) * (2 * COUNT - 1)) / 6
    expect(total(result.squares)).toBe(sumOfSquares + 1e4 * COUNT)

    second[1]!.view().fill(0)
    backend.replay(recording!, [second[1]!, second[1]!])
    expect([...result.all.view()].every((value) => value === 100)).toBe(true)
    for (const storage of [...others, ...second, large, fixed, result.all, result.squares]) storage.release()
    backend.releaseRecording(recording!)
    expect(backend.memory()).toMatchObject({ bytesInUse: 0, storages: 0 })
  })
})

describe('a recording', () => {
  it('keeps its memory to itself until it is released', () => {
    const backend = backendOf({ threads: 1 })
    const x = vector(backend, (i) => i)
    const { result, recording } = backend.record({ inputs: [x], changing: [] }, () => {
      const twice = plus(backend, x, x)
      const fourfold = plus(backend, twice, twice)
      twice.release()
      return fourfold
    })
    const others = Array.from({ length: 10 }, () => vector(backend, () => 7))
    backend.replay(recording!, [x])
    for (const other of others) expect(other.view().every((value) => value === 7)).toBe(true)
    for (const other of others) other.release()
    const pooled = backend.memory().bytesPooled
    backend.releaseRecording(recording!)
    expect(backend.memory().bytesPooled).toBeGreaterThan(pooled)
    // What is still held stays as it is, and follows.
    const next = Array.from({ length: 20 }, () => vector(backend, () => 9))
    expect([...result.view()]).toEqual(Array.from({ length: COUNT }, (_, i) => 4 * i))
    const before = backend.memory().bytesPooled
    result.release()
    expect(backend.memory().bytesPooled).toBeGreaterThan(before)
    for (const other of next) other.release()
    backend.releaseRecording(recording!)
  })

  it('finds what the host wrote, where launches before had used the memory', () => {
    const backend = backendOf({ threads: 1 })
    const x = vector(backend, (i) => i)
    const { result, recording } = backend.record({ inputs: [x], changing: [] }, () => {
      plus(backend, x, x).release()
      const constant = vector(backend, () => 1000)
      const sum = plus(backend, x, constant)
      constant.release()
      plus(backend, x, x).release()
      return sum
    })
    for (let run = 0; run < 3; run++) {
      backend.replay(recording!, [x])
      expect([...result.view()]).toEqual(Array.from({ length: COUNT }, (_, i) => i + 1000))
    }
  })

  it('is not made where the host reads what changes', () => {
    const backend = backendOf({ threads: 1 })
    const [x, weights, fixed] = [1, 2, 3].map((one) => vector(backend, () => one)) as [Storage, Storage, Storage]
    const data = { inputs: [x], changing: [weights] }
    const record = (also: (sum: Storage) => void) =>
      backend.record(data, () => {
        const sum = plus(backend, x, weights)
        also(sum)
        return sum
      })
    expect(record(() => fixed.view()).recording).toBeDefined()
    expect(record(() => plus(backend, fixed, fixed)).recording).toBeDefined()
    for (const also of [
      (sum: Storage) => sum.view(),
      () => x.view(),
      () => weights.view(),
      () => backend.refuseRecording(),
    ]) {
      const { result, recording } = record(also)
      expect(recording).toBeUndefined()
      expect(result.view()[0]).toBe(3)
    }
  })

  it('is given up with its memory when what is recorded fails', () => {
    const backend = backendOf({ threads: 1 })
    const x = vector(backend, () => 1)
    const before = backend.memory()
    const fail = () =>
      backend.record({ inputs: [x], changing: [] }, () => {
        plus(backend, x, x).release()
        throw new Error('enough')
      })
    expect(fail).toThrow('enough')
    expect(backend.memory()).toMatchObject({ bytesInUse: before.bytesInUse, storages: before.storages })
    const pooled = backend.memory().bytesPooled
    expect(fail).toThrow('enough')
    expect(backend.memory().bytesPooled).toBe(pooled)
    expect([...plus(backend, x, x).view()].every((value) => value === 2)).toBe(true)
  })

  it('makes way when the heap is full', () => {
    const backend = backendOf({ threads: 1, maximumBytes: 4 * 2 ** 20 })
    const x = vector(backend, () => 1)
    const { recording } = backend.record({ inputs: [x], changing: [] }, () => {
      for (let i = 0; i < 3; i++) {
        const address = backend.allocate(2e5, 'float32').retain()
        backend.pointer(address)
        plus(backend, x, x).release()
        if (i > 0) address.release()
      }
    })
    expect(recording!.isReleased).toBe(false)
    const large = backend.allocate(2.5e5, 'float32').retain()
    expect(recording!.isReleased).toBe(true)
    large.release()
    expect(() => backend.allocate(1e6, 'float32')).toThrow(MemoryError)
  })

  it('fails as a launch does when a worker is lost', async () => {
    const backend = backendOf({ threads: 2 })
    await backend.ready()
    const x = vector(backend, () => 1)
    const { recording } = backend.record({ inputs: [x], changing: [] }, () => squares(backend, [x, x, x]))
    await backend.dispose()
    expect(backend.threads).toBe(1)
    backend.replay(recording!, [x])
    const foreign = backendOf({ threads: 1 })
    expect(() => backend.replay(recording!, [vector(foreign, () => 1)])).toThrow(BackendError)
  })
})
