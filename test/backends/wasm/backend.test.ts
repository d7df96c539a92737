import { resolveObjectURL } from 'node:buffer'
import { spawn } from 'node:child_process'
import { Worker as NodeWorker } from 'node:worker_threads'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Storage } from '../../../src/array/storage.js'
import { createWasmBackend, type WasmBackend, type WasmBackendOptions } from '../../../src/backends/wasm/backend.js'
import { withUnsharedMemory } from '../../../src/backends/wasm/module.js'
import { BackendError, MemoryError, OptionError } from '../../../src/errors.js'
import { message } from '../../support/message.js'

const MEGABYTE = 2 ** 20

const made: WasmBackend[] = []

function backendOf(options: WasmBackendOptions): WasmBackend {
  const backend = createWasmBackend(options)
  made.push(backend)
  return backend
}

afterEach(async () => {
  vi.unstubAllGlobals()
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  for (const backend of made.splice(0)) await backend.dispose()
})

/** A backend whose workers have started, and those workers, which the process announces one by one. */
async function backendWithWorkers(threads: number): Promise<{ backend: WasmBackend; workers: NodeWorker[] }> {
  await new Promise(setImmediate)
  const workers: NodeWorker[] = []
  const collect = (worker: NodeWorker) => workers.push(worker)
  process.on('worker', collect)
  const backend = backendOf({ threads })
  await backend.ready()
  process.off('worker', collect)
  expect(workers).toHaveLength(threads - 1)
  return { backend, workers }
}

function vector(backend: WasmBackend, length: number): Storage {
  const storage = backend.allocate(length, 'float32').retain()
  const values = storage.view()
  for (let i = 0; i < length; i++) values[i] = Math.fround(Math.sin(i) * 3)
  return storage
}

/** One function of every element of `x`, in a new storage. */
function apply(backend: WasmBackend, x: Storage, code: number, grain?: number): Storage {
  const y = backend.allocate(x.length, 'float32').retain()
  const block = { x: backend.pointer(x), y: backend.pointer(y), code, first: 0.5, second: 1 }
  backend.launch('unary', block, { items: x.length, grain })
  return y
}

function bits(storage: Storage): string {
  const { buffer, byteOffset, byteLength } = storage.view()
  return Buffer.from(new Uint8Array(buffer, byteOffset, byteLength)).toString('base64')
}

describe('launch', () => {
  it('gives the same bits for any number of threads and any grain', async () => {
    const single = backendOf({ threads: 1 })
    const several = backendOf({ threads: 4 })
    for (const threads of [4, 3, 2, 1]) {
      several.setThreads(threads)
      await several.ready()
      for (const length of [1, 3, 64, 1001]) {
        const [x, same] = [vector(single, length), vector(several, length)]
        for (let code = 0; code < 6; code++) {
          const wanted = bits(apply(single, x, code))
          for (const grain of [undefined, 1, 7, 2000]) expect(bits(apply(several, same, code, grain))).toBe(wanted)
        }
      }
    }
  })

  it('computes something', () => {
    const backend = backendOf({ threads: 1 })
    const x = vector(backend, 10)
    const results = Array.from({ length: 6 }, (_, code) => bits(apply(backend, x, code)))
    expect(new Set(results).size).toBeGreaterThan(3)
    expect(backend.launches).toBe(6)
  })

  it('reaches memory that was taken after the workers started', async () => {
    const backend = backendOf({ threads: 3 })
    await backend.ready()
    const before = backend.memory().bytesReserved
    const x = vector(backend, 3 * MEGABYTE)
    const y = apply(backend, x, 0)
    expect(backend.memory().bytesReserved).toBeGreaterThan(before + 20 * MEGABYTE)
    const single = backendOf({ threads: 1 })
    const wanted = apply(single, vector(single, 3 * MEGABYTE), 0).view()
    expect(Buffer.compare(new Uint8Array(y.view().slice().buffer), new Uint8Array(wanted.slice().buffer))).toBe(0)
  })

  it('reaches addresses beyond 2 GB', async () => {
    const backend = backendOf({ threads: 2 })
    await backend.ready()
    const wanted = bits(apply(backend, vector(backend, 1001), 1))
    // Never touched, so the system gives addresses and no memory.
    backend.allocate(2.25 * 2 ** 28, 'float32').retain()
    const x = vector(backend, 1001)
    const y = apply(backend, x, 1, 100)
    expect(backend.pointer(x)).toBeGreaterThan(2 ** 31)
    expect(bits(y)).toBe(wanted)
  })

  it('runs nothing for no items', () => {
    const backend = backendOf({ threads: 1 })
    expect(apply(backend, vector(backend, 0), 0).view()).toHaveLength(0)
  })

  it.each([
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    [1000.5, 10],
    [2 ** 32, undefined],
    [1000, Number.NaN],
  ])('refuses %s items, %s at a time, in place of waiting for them', async (items, grain) => {
    const { backend } = await backendWithWorkers(2)
    const x = vector(backend, 1000)
    const block = { x: backend.pointer(x), y: backend.pointer(x), code: 0, first: 0, second: 0 }
    expect(() => backend.launch('unary', block, { items, grain })).toThrow(/kernel unary: .* launch of .* report/)
    expect(bits(apply(backend, x, 1))).toBe(bits(apply(backend, x, 1, 100)))
  })

  it('allocates nothing in a loop from its second pass on', () => {
    const backend = backendOf({ threads: 1 })
    const x = vector(backend, 5000)
    const pass = () => {
      apply(backend, x, 0).release()
      backend.withTemporary(3000, (address) => expect(address % 64).toBe(0))
    }
    pass()
    const { bytesFresh } = backend
    const memory = backend.memory()
    for (let i = 0; i < 10; i++) pass()
    expect(backend.bytesFresh).toBe(bytesFresh)
    expect(backend.memory()).toEqual(memory)
  })

  it('rejects a storage of another backend', () => {
    const [one, other] = [backendOf({ threads: 1 }), backendOf({ threads: 1 })]
    expect(() => one.pointer(vector(other, 1))).toThrow(BackendError)
  })
})

describe('storage', () => {
  it.each([true, false])('shows its elements while the heap grows (shared: %s)', (shared) => {
    const backend = backendOf({ threads: 1, shared })
    const x = vector(backend, 100)
    const before = bits(x)
    const view = x.view()
    expect(x.view()).toBe(view)
    vector(backend, 2 * MEGABYTE)
    expect(x.view() === view).toBe(false)
    expect(bits(x)).toBe(before)
    expect(bits(apply(backend, x, 0))).toBe(bits(apply(backendOf({ threads: 1 }), vector(made[1]!, 100), 0)))
  })

  it('holds float64 too', () => {
    const storage = backendOf({ threads: 1 }).allocate(3, 'float64').retain()
    storage.view().set([1 / 3, 2, 3])
    expect(storage.view()[0]).toBe(1 / 3)
    expect(storage.bytes).toBe(24)
  })

  it('counts, and gives its memory back once', () => {
    const backend = backendOf({ threads: 1 })
    const x = vector(backend, 100)
    expect(backend.memory()).toMatchObject({ bytesInUse: 400, storages: 1 })
    const bytesPooled = backend.memory().bytesPooled + 448
    x.release()
    expect(backend.memory()).toMatchObject({ bytesInUse: 0, bytesPooled, storages: 0 })
    expect(() => x.view()).toThrow(MemoryError)
    expect(() => backend.pointer(x)).toThrow(MemoryError)
    x.retain().release()
    expect(backend.memory()).toMatchObject({ bytesInUse: 0, bytesPooled, storages: 0 })
  })

  it('says so when the heap is full, and goes on', () => {
    const backend = backendOf({ threads: 1, maximumBytes: 8 * MEGABYTE })
    backend.describeLargest = () => 'W 512(S) x 512(S)'
    const live: Storage[] = []
    const fill = () => {
      for (;;) live.push(backend.allocate(MEGABYTE / 16, 'float32').retain())
    }
    expect(fill).toThrow(MemoryError)
    expect(fill).toThrow(/limit 8\.00 MB; the largest live arrays:\nW 512/)
    expect(live.length).toBeGreaterThan(15)
    for (const storage of live) storage.release()
    expect(vector(backend, MEGABYTE).length).toBe(MEGABYTE)
  })
})

describe('threads', () => {
  it('rejects numbers of threads that mean nothing', () => {
    for (const threads of [0, 1.5, -1, 257, Number.NaN])
      expect(() => createWasmBackend({ threads })).toThrow(OptionError)
    vi.stubEnv('DLNET_THREADS', 'many')
    expect(() => createWasmBackend()).toThrow(/DLNET_THREADS: expected a whole number/)
    vi.stubEnv('DLNET_THREADS', '3')
    expect(backendOf({}).info()).toEqual({ name: 'wasm', threads: 3, simd: true })
    expect(() => createWasmBackend({ maximumBytes: 1000 })).toThrow(OptionError)
  })

  it('can be changed at any time', async () => {
    const backend = backendOf({ threads: 1 })
    const x = vector(backend, 1000)
    const wanted = bits(apply(backend, x, 2))
    for (const threads of [3, 1, 2, 4, 4, 2]) {
      backend.setThreads(threads)
      expect(backend.threads).toBe(threads)
      expect(bits(apply(backend, x, 2, 10))).toBe(wanted)
    }
    backend.setThreads(1)
    expect(backend.info().singleThreadedBecause).toBeDefined()
  })

  it('reports a worker that was ended, once, and goes on without it', async () => {
    const { backend, workers } = await backendWithWorkers(3)
    const x = vector(backend, 1000)
    const wanted = bits(apply(backend, x, 1, 10))
    await workers[1]!.terminate()
    expect(() => apply(backend, x, 1, 10)).toThrow(BackendError)
    expect(bits(apply(backend, x, 1, 10))).toBe(wanted)
    expect(backend.info()).toMatchObject({ threads: 1, singleThreadedBecause: expect.stringContaining('gone') })
    backend.setThreads(2)
    await backend.ready()
    expect(backend.info()).toEqual({ name: 'wasm', threads: 2, simd: true })
    expect(bits(apply(backend, x, 1, 10))).toBe(wanted)
  })

  it('does not hang when a worker ends at the moment of a launch', async () => {
    const { backend, workers } = await backendWithWorkers(2)
    await new Promise((asleep) => setTimeout(asleep, 20))
    const x = vector(backend, 1000)
    const wanted = bits(apply(backend, x, 1, 1000))
    const ended = workers[0]!.terminate()
    expect(bits(apply(backend, x, 1, 10))).toBe(wanted)
    await ended
    expect(() => apply(backend, x, 1, 10)).toThrow(BackendError)
  })

  it('does not wait for workers that were stopped before they had started', async () => {
    const backend = backendOf({ threads: 3 })
    const ready = backend.ready()
    backend.setThreads(2)
    await ready
    await backend.ready()
    expect(backend.threads).toBe(2)
  })

  it('goes on with one thread when the heap has no room for more', () => {
    const backend = backendOf({ threads: 1, maximumBytes: 8 * MEGABYTE })
    const before = backend.memory()
    expect(() => backend.setThreads(10)).toThrow(MemoryError)
    expect(backend.info()).toMatchObject({ threads: 1, singleThreadedBecause: '10 threads could not be started' })
    expect(backend.memory().bytesInUse).toBe(before.bytesInUse)
    expect(vector(backend, MEGABYTE).length).toBe(MEGABYTE)
  })

  it('gives the memory of stopped workers back', async () => {
    const backend = backendOf({ threads: 4 })
    await backend.ready()
    const before = backend.memory().bytesReserved
    for (let i = 0; i < 3; i++) {
      await backend.dispose()
      backend.setThreads(4)
      await backend.ready()
    }
    expect(backend.memory().bytesReserved).toBe(before)
  })
})

describe('where something is missing', () => {
  it('runs on one thread in a page that is not isolated, and says why', () => {
    vi.stubGlobal('crossOriginIsolated', false)
    const backend = backendOf({ threads: 4 })
    expect(backend.info()).toMatchObject({ threads: 1, singleThreadedBecause: expect.stringMatching(/COOP and COEP/) })
    const x = vector(backend, 100)
    expect(x.view().buffer).toBeInstanceOf(ArrayBuffer)
    const shared = backendOf({ threads: 1 })
    expect(bits(apply(backend, x, 3))).toBe(bits(apply(shared, vector(shared, 100), 3)))
  })

  it('runs on one thread without SharedArrayBuffer', () => {
    vi.stubGlobal('SharedArrayBuffer', undefined)
    const backend = backendOf({ threads: 4 })
    expect(backend.info().singleThreadedBecause).toContain('SharedArrayBuffer')
    apply(backend, vector(backend, 10), 0)
  })

  it('runs on one thread where workers cannot be started, and says why', async () => {
    vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined)
    const backend = backendOf({ threads: 2 })
    await backend.ready()
    expect(backend.info()).toMatchObject({ threads: 1, singleThreadedBecause: expect.stringMatching(/did not start/) })
    apply(backend, vector(backend, 100), 0, 10)
  })

  it('starts Web Workers from the text of their source, on a thread that may not wait', async () => {
    const ends: Promise<number>[] = []
    const live: NodeWorker[] = []
    /** A Web Worker as far as the pool uses one, on a thread of Node. */
    class WebWorker {
      onmessage?: () => void
      readonly #worker: Promise<NodeWorker>
      constructor(url: string) {
        this.#worker = resolveObjectURL(url)!
          .text()
          .then((source) => {
            const prelude = `const { parentPort } = require('node:worker_threads')
              const postMessage = (data) => parentPort.postMessage(data)
              let onmessage
              parentPort.on('message', (data) => onmessage({ data }))
            `
            const worker = new NodeWorker(prelude + source, { eval: true })
            worker.on('message', () => this.onmessage?.())
            live.push(worker)
            return worker
          })
      }
      postMessage(task: unknown) {
        this.#worker.then((worker) => worker.postMessage(task))
      }
      terminate() {
        ends.push(this.#worker.then((worker) => worker.terminate()))
      }
    }
    vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined)
    vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      throw new TypeError('Atomics.wait cannot be called in this context')
    })
    vi.stubGlobal('Worker', WebWorker)
    vi.stubGlobal('crossOriginIsolated', true)
    const backend = backendOf({ threads: 3 })
    await backend.ready()
    expect(live).toHaveLength(2)
    expect(backend.info()).toEqual({ name: 'wasm', threads: 3, simd: true })
    const x = vector(backend, 1000)
    const wanted = bits(apply(backend, x, 1, 1000))
    for (let i = 0; i < 100; i++) expect(bits(apply(backend, x, 1, 10))).toBe(wanted)
    await backend.dispose()
    await Promise.all(ends)
  })

  it('takes fewer addresses where the system gives fewer', () => {
    const { Memory } = WebAssembly
    class Small extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        if (descriptor.maximum! > 16384) throw new RangeError('could not allocate memory')
        super(descriptor)
      }
    }
    try {
      Reflect.set(WebAssembly, 'Memory', Small)
      const backend = backendOf({ threads: 2 })
      expect(backend.threads).toBe(2)
      expect(() => backend.allocate(300 * MEGABYTE, 'float32')).toThrow(/limit 1\.00 GB/)
    } finally {
      Reflect.set(WebAssembly, 'Memory', Memory)
    }
  })

  it('tells what a page must allow where it may not compile WebAssembly', () => {
    vi.spyOn(WebAssembly, 'Module').mockImplementation(function refuse() {
      throw new WebAssembly.CompileError("Refused to compile: 'unsafe-eval' is not allowed")
    })
    expect(message(() => createWasmBackend())).toBe(
      "BackendError: the wasm backend: expected leave to compile WebAssembly, but got a refusal: Refused to compile: 'unsafe-eval' " +
        "is not allowed. Allow it in the page's Content-Security-Policy: script-src 'self' 'wasm-unsafe-eval', and for threads " +
        "worker-src blob:; or use setBackend('reference').",
    )
  })

  it('names missing SIMD and missing WebAssembly', () => {
    vi.spyOn(WebAssembly, 'validate').mockReturnValue(false)
    expect(() => createWasmBackend()).toThrow(/SIMD/)
    vi.stubGlobal('WebAssembly', undefined)
    expect(() => createWasmBackend()).toThrow(BackendError)
  })

  it('finds the memory among other imports', () => {
    // Imports a function, a table with a maximum, a global and a shared memory, in this order.
    const name = [1, 0x61, 1, 0x62]
    const imports = [4, ...name, 0, 0, ...name, 1, 0x70, 1, 1, 2, ...name, 3, 0x7f, 1, ...name, 2, 3, 1, 0x80, 0x80, 4]
    const module = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, imports.length, ...imports]
    const bytes = new Uint8Array(module)
    expect(WebAssembly.validate(bytes)).toBe(true)
    const patched = withUnsharedMemory(bytes)
    expect(WebAssembly.validate(patched)).toBe(true)
    const changed = [...bytes.keys()].filter((at) => bytes[at] !== patched[at])
    expect(changed).toEqual([bytes.length - 5])
    expect(patched[bytes.length - 5]).toBe(1)
  })
})

describe('the process', () => {
  const start = `import { createWasmBackend } from './src/backends/wasm/backend.ts'
    const backend = createWasmBackend({ threads: 3 })
    const x = backend.allocate(1000, 'float32').retain()
    const run = () => backend.launch('unary',
      { x: backend.pointer(x), y: backend.pointer(x), code: 0, first: 0, second: 0 }, { items: 1000, grain: 10 })
    run();`
  it.each([
    ['before its workers have started', '', 0],
    ['while they look for work', 'await backend.ready(); run()', 0],
    ['while they sleep', 'await backend.ready(); run(); await new Promise((done) => setTimeout(done, 100))', 0],
    ['when it is told to', 'await backend.ready(); run(); process.exit(3)', 3],
    ['after an error', 'await backend.ready(); run(); throw new Error("over")', 1],
  ])(
    'ends by itself %s',
    async (_, rest, expected) => {
      const code = start + rest
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], { timeout: 15_000 })
      const [exit, signal] = await new Promise<[number | null, string | null]>((done) =>
        child.on('close', (exitCode, killed) => done([exitCode, killed])),
      )
      expect([exit, signal]).toEqual([expected, null])
    },
    20_000,
  )
})
