import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import asc from 'assemblyscript/asc'
import fc from 'fast-check'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { instantiateKernels, type KernelInstance } from '../../../src/backends/wasm/module.js'
import { ThreadPool } from '../../../src/backends/wasm/threads.js'
import { BackendError } from '../../../src/errors.js'

/** Kernels that count, wait and fail, compiled together with the pool's own steps. */
const PROBES = `
import { scratch } from './scratch'

@unmanaged
class Probe {
  counts: usize;
  reached: usize;
  gate: usize;
  caller: usize;
}

// Adds 1 to the count of every item it runs.
export function count(block: Probe, begin: i32, end: i32): void {
  for (let i = begin; i < end; i++) atomic.add<i32>(block.counts + (<usize>i << 2), 1);
}

// The caller waits inside until a worker is inside too; the workers stay until the gate opens.
export function stall(block: Probe, begin: i32, end: i32): void {
  if (scratch == block.caller) {
    while (atomic.load<i32>(block.reached) == 0) {}
  } else {
    atomic.store<i32>(block.reached, 1);
    while (atomic.load<i32>(block.gate) == 0) {}
  }
}

// The caller waits inside until a worker is inside too; then both compute, the worker ten times as long.
export function unequal(block: Probe, begin: i32, end: i32): void {
  let rounds = 20000000;
  if (scratch == block.caller) {
    while (atomic.load<i32>(block.reached) == 0) {}
  } else {
    atomic.store<i32>(block.reached, 1);
    rounds *= 10;
  }
  while (rounds-- > 0) atomic.load<i32>(block.gate);
}

// Fails on a worker while the caller is inside.
export function failOnWorker(block: Probe, begin: i32, end: i32): void {
  if (scratch == block.caller) {
    while (atomic.load<i32>(block.reached) == 0) {}
  } else {
    atomic.store<i32>(block.reached, 1);
    unreachable();
  }
}

// Fails on the caller while a worker is inside; workers leave the caller an item by waiting for it at the gate.
export function failOnCaller(block: Probe, begin: i32, end: i32): void {
  if (scratch == block.caller) {
    atomic.store<i32>(block.gate, 1);
    while (atomic.load<i32>(block.reached) == 0) {}
    unreachable();
  } else {
    atomic.store<i32>(block.reached, 1);
    while (atomic.load<i32>(block.gate) == 0) {}
  }
}
`
const NAMES = ['count', 'failOnCaller', 'failOnWorker', 'stall', 'unequal'] as const
const MEGABYTE = 2 ** 20
const CONTROL = MEGABYTE / 2
const BLOCK = CONTROL + 4096
const REACHED = BLOCK + 64
const GATE = BLOCK + 128
const CALLER = BLOCK + 256
const COUNTS = BLOCK + 1024
const MOST_ITEMS = 1000

let bytes: Uint8Array<ArrayBuffer>

beforeAll(async () => {
  const kernels = resolve('kernels')
  let compiled: Uint8Array | undefined
  const { error, stderr } = await asc.main(
    [
      join(kernels, 'scratch.ts'),
      join(kernels, 'pool.ts'),
      join(kernels, 'probes.ts'),
      ...['--baseDir', tmpdir(), '--outFile', 'probes.wasm', '--runtime', 'stub', '--noAssert', '-O3'],
      ...['--importMemory', '--sharedMemory', '--initialMemory', '16', '--maximumMemory', '65536'],
      ...['--enable', 'simd', '--enable', 'threads', '--enable', 'bulk-memory'],
    ],
    {
      readFile(name, folder) {
        const path = resolve(folder, name)
        if (path === join(kernels, 'probes.ts')) return PROBES
        try {
          return readFileSync(path, 'utf8')
        } catch {
          return null
        }
      },
      writeFile(_, content) {
        compiled = content as Uint8Array
      },
    },
  )
  if (error || !compiled) throw new Error(`the probes did not compile: ${error} ${stderr}`)
  bytes = new Uint8Array(compiled)
})

interface Rig {
  instance: KernelInstance
  pool: ThreadPool
  words: Int32Array
  run(name: (typeof NAMES)[number], items: number, grain: number): void
}

const rigs: Rig[] = []

function rig(workers: number, patience?: number): Rig {
  const instance = instantiateKernels({ bytes, maximumBytes: 4 * MEGABYTE })
  const { host, memory } = instance
  host.setScratch(CALLER)
  const words = new Int32Array(memory.buffer)
  words.set([COUNTS, REACHED, GATE, CALLER], BLOCK / 4)
  const scratches = Array.from({ length: workers }, (_, worker) => CALLER + 64 * (worker + 1))
  const pool = new ThreadPool({ instance, names: NAMES, control: CONTROL, scratches, processors: 2, patience })
  const made: Rig = {
    instance,
    pool,
    words,
    run(name, items, grain) {
      pool.run(NAMES.indexOf(name), instance.kernel(name), BLOCK, items, grain)
    },
  }
  rigs.push(made)
  return made
}

function expectEachItemOnce({ words, run }: Rig, items: number, grain: number): void {
  words.fill(0, COUNTS / 4, COUNTS / 4 + MOST_ITEMS)
  run('count', items, grain)
  const counts = words.subarray(COUNTS / 4, COUNTS / 4 + MOST_ITEMS)
  expect(counts.findIndex((count, item) => count !== (item < items ? 1 : 0))).toBe(-1)
}

afterEach(async () => {
  for (const { pool } of rigs.splice(0)) await pool.stop()
})

describe('ThreadPool', () => {
  it('runs every item once, for any number of threads, items and grain', async () => {
    for (const workers of [0, 1, 2, 3]) {
      const made = rig(workers)
      await made.pool.started()
      expect(made.pool.threads).toBe(workers + 1)
      fc.assert(
        fc.property(fc.integer({ min: 1, max: MOST_ITEMS }), fc.integer({ min: 1, max: MOST_ITEMS }), (items, grain) =>
          expectEachItemOnce(made, items, grain),
        ),
        { numRuns: 300 },
      )
    }
  })

  it('keeps jobs apart that follow each other at once', async () => {
    const made = rig(3)
    await made.pool.started()
    for (let job = 0; job < 150_000; job++) {
      const items = 1 + ((job * 7919) % 20)
      made.words.fill(0, COUNTS / 4, COUNTS / 4 + 24)
      made.run('count', items, 1 + (job % 3))
      for (let item = 0; item < 24; item++)
        if (made.words[COUNTS / 4 + item] !== (item < items ? 1 : 0))
          expect.fail(`job ${job}: item ${item} of ${items} ran ${made.words[COUNTS / 4 + item]} times`)
    }
  }, 30_000)

  it('runs jobs before its workers have started', () => {
    const made = rig(2)
    for (let i = 0; i < 20; i++) expectEachItemOnce(made, 100, 7)
  })

  it('wakes workers that sleep', async () => {
    const made = rig(1)
    await made.pool.started()
    for (let i = 0; i < 3; i++) {
      await new Promise((done) => setTimeout(done, 20))
      made.words[REACHED / 4] = 0
      made.words[GATE / 4] = 1
      made.run('stall', 2, 1)
      expect(made.words[REACHED / 4]).toBe(1)
    }
  })

  it('throws what a kernel throws on the calling thread, and goes on', async () => {
    const made = rig(1)
    await made.pool.started()
    for (let i = 0; i < 3; i++) {
      made.words[REACHED / 4] = 0
      made.words[GATE / 4] = 0
      expect(() => made.run('failOnCaller', 50, 1)).toThrow(WebAssembly.RuntimeError)
      expectEachItemOnce(made, 100, 3)
    }
  })

  it('throws what a kernel throws on a worker, and goes on', async () => {
    const made = rig(2)
    await made.pool.started()
    for (let i = 0; i < 3; i++) {
      made.words[REACHED / 4] = 0
      expect(() => made.run('failOnWorker', 50, 1)).toThrow('RuntimeError: unreachable')
      expectEachItemOnce(made, 100, 3)
    }
    expect(made.pool.lostBecause).toBeUndefined()
  })

  it('gives up a worker that never finishes, and ends it', async () => {
    const made = rig(1, 300)
    await made.pool.started()
    made.words[REACHED / 4] = 0
    made.words[GATE / 4] = 0
    expect(() => made.run('stall', 2, 1)).toThrow(BackendError)
    expect(made.pool.lostBecause).toContain('1 of 2 items')
    await made.pool.stop()
  })

  it('waits for a worker whose work is long, as that of the caller was', async () => {
    const made = rig(1, 5)
    await made.pool.started()
    made.words[REACHED / 4] = 0
    const start = performance.now()
    made.run('unequal', 2, 1)
    expect(performance.now() - start).toBeGreaterThan(5)
    expect(made.pool.lostBecause).toBeUndefined()
  })

  it('gives up a worker that dies while it holds work', async () => {
    const made = rig(0, 300)
    const { module, memory } = made.instance
    const mortal = new Worker(
      `const { workerData: { module, memory, control, reached }, parentPort } = require('node:worker_threads')
       const { claim } = new WebAssembly.Instance(module, { env: { memory } }).exports
       parentPort.postMessage('ready')
       while (claim(control) < 0) {}
       Atomics.store(new Int32Array(memory.buffer), reached / 4, 1)
       process.exit()`,
      { eval: true, workerData: { module, memory, control: CONTROL, reached: REACHED } },
    )
    await new Promise((ready) => mortal.once('message', ready))
    made.words[REACHED / 4] = 0
    const ended = new Promise((exit) => mortal.once('exit', exit))
    expect(() => made.run('stall', 10, 1)).toThrow(/a worker thread that is gone.*9 of 10 items/)
    await ended
  })

  it('says so when a worker was ended from outside', async () => {
    const workers: Worker[] = []
    const collect = (worker: Worker) => workers.push(worker)
    process.on('worker', collect)
    const made = rig(2)
    await made.pool.started()
    process.off('worker', collect)
    await workers[0]!.terminate()
    expect(made.pool.lostBecause).toContain('ended from outside')
  })
})
