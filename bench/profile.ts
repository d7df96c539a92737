// `profile.js ROW THREADS MILLISECONDS CLOCK` prints where dlnet's time goes in a row.

import { Session } from 'node:inspector/promises'
import { wasmBackend } from '../src/backends/current.js'
import { type Clock, reading } from './clock.js'
import { figure, median } from './measure.js'
import { start } from './peers/dlnet.js'
import { rows } from './rows/all.js'
import type { Row } from './rows/row.js'
import { aligned } from './table.js'

const WARM_UP_MILLISECONDS = 1000

/**
 * Time of every kernel by the name it is launched by, what is left outside of kernels, and which functions spend that.
 */
async function profileRow(row: Row, threads: number, milliseconds: number, clock: Clock): Promise<string> {
  const peer = await start(threads)
  const prepared = await peer.prepare(row.task)
  await prepared.outputs()
  const repeat = async (duration: number, call: () => Promise<void>) => {
    const begin = performance.now()
    let calls = 0
    for (; calls < 3 || performance.now() - begin < duration; calls++) await call()
    return calls
  }
  const run = async () => {
    const pending = prepared.run()
    if (pending instanceof Promise) await pending
  }
  await repeat(WARM_UP_MILLISECONDS, run)
  const wasm = wasmBackend()
  const fresh = wasm.bytesFresh
  const { calls, all, outside, kernels } = await timingLaunches(clock, (call) => repeat(milliseconds, () => call(run)))
  const grown = wasm.bytesFresh - fresh
  const functions = await functionsOutsideKernels(() => repeat(milliseconds, run))
  prepared.release?.()

  const share = (time: number) => `${((100 * time) / all.median).toFixed(1)} %`
  const lines = [
    ['kernel', 'launches', 'ms', 'share', 'shortest ms'],
    ...kernels.map(({ name, launches, time, shortest }) => [
      name,
      String(launches),
      time.toFixed(4),
      share(time),
      shortest.toFixed(4),
    ]),
    ['outside kernels', '', outside.median.toFixed(4), share(outside.median), outside.shortest.toFixed(4)],
    ['all', '', all.median.toFixed(4), '', all.shortest.toFixed(4)],
  ]
  return [
    `${row.name}, ${row.size}, ${peer.threads} of ${threads} threads, ${calls} calls; medians of a call, ${clock} time:`,
    aligned(lines),
    `new memory taken from the heap: ${grown} bytes in all`,
    functions.length > 0
      ? `JavaScript functions by their own time:\n${aligned([['function', 'where', 'share'], ...functions])}`
      : '',
  ].join('\n')
}

interface KernelTime {
  readonly name: string
  /** In a call. */
  readonly launches: number
  /** Milliseconds in a call, and of the shortest. */
  readonly time: number
  readonly shortest: number
}

/** Medians over calls, so that what else the machine does counts little. */
async function timingLaunches(
  clock: Clock,
  work: (call: (run: () => Promise<void>) => Promise<void>) => Promise<number>,
) {
  const wasm = wasmBackend()
  const launches = new Map<string, number[]>()
  const times = new Map<string, number[]>()
  const totals: number[] = []
  const outside: number[] = []
  let inKernels = 0
  wasm.observeLaunch = (name, run) => {
    const begin = reading(clock)
    run()
    const time = reading(clock) - begin
    const call = totals.length
    inKernels += time
    for (const [table, amount] of [
      [launches, 1],
      [times, time],
    ] as const) {
      const row = table.get(name) ?? []
      row[call] = (row[call] ?? 0) + amount
      table.set(name, row)
    }
  }
  try {
    const calls = await work(async (run) => {
      inKernels = 0
      const begin = reading(clock)
      await run()
      totals.push(reading(clock) - begin)
      outside.push(totals.at(-1)! - inKernels)
    })
    const kernels: KernelTime[] = [...times].map(([name, row]) => ({
      name,
      launches: median(launches.get(name)!),
      time: median(row),
      shortest: Math.min(...row),
    }))
    kernels.sort((a, b) => b.time - a.time)
    return { calls, all: figure(totals), outside: figure(outside), kernels }
  } finally {
    wasm.observeLaunch = undefined
  }
}

const MOST_FUNCTIONS = 12

/** Self time by function, kernels' own functions left out, as shares of the whole. */
async function functionsOutsideKernels(work: () => Promise<unknown>): Promise<string[][]> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
  await work()
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  const total = profile.nodes.reduce((sum, node) => sum + (node.hitCount ?? 0), 0)
  const hits = new Map<string, number>()
  for (const { callFrame, hitCount = 0 } of profile.nodes) {
    if (callFrame.url.startsWith('wasm://') || hitCount === 0) continue
    const file = callFrame.url.split('/').slice(-2).join('/')
    const key = JSON.stringify([callFrame.functionName || '(anonymous)', file])
    hits.set(key, (hits.get(key) ?? 0) + hitCount)
  }
  return [...hits]
    .sort((a, b) => b[1] - a[1])
    .slice(0, MOST_FUNCTIONS)
    .map(([key, count]) => [...(JSON.parse(key) as string[]), `${((100 * count) / total).toFixed(1)} %`])
}

const [name, threads, milliseconds, clock] = process.argv.slice(2)
const row = rows.find((row) => row.name === name)!
console.log(`${await profileRow(row, Number(threads), Number(milliseconds), clock as Clock)}\n`)
process.exit(0)
