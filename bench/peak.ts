import { Worker } from 'node:worker_threads'
import asc from 'assemblyscript/asc'

/** As many as fit into 15 registers beside factor and shift. */
const CHAINS = 12
const UNROLLED = 4
/** Four numbers in each chain, a multiplication and an addition. */
const FLOP_PER_ROUND = UNROLLED * CHAINS * 4 * 2

const each = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join('\n')

/** AssemblyScript: chains x := x factor + shift in registers; the result holds all, so that the compiler leaves none out. */
const source = `
export function chains(rounds: i32, factor: f32, shift: f32): f32 {
  const m = f32x4.splat(factor)
  const a = f32x4.splat(shift)
  ${each(CHAINS, (i) => `let x${i} = f32x4.splat(${i}.5)`)}
  for (let i = 0; i < rounds; i++) {
    ${each(UNROLLED, () => each(CHAINS, (i) => `x${i} = f32x4.add(f32x4.mul(x${i}, m), a)`))}
  }
  ${each(CHAINS, (i) => (i === 0 ? '' : `x0 = f32x4.add(x0, x${i})`))}
  return f32x4.extract_lane(x0, 0)
}`

/** Runs in every thread: the best of many timings of about a millisecond, in rounds a millisecond. */
const worker = `
const { parentPort, workerData } = require('node:worker_threads')
const { chains } = new WebAssembly.Instance(new WebAssembly.Module(workerData.binary)).exports
let best = 0
for (let rounds = 1000, until = performance.now() + workerData.milliseconds; performance.now() < until; ) {
  const begin = performance.now()
  chains(rounds, 0.999, 1e-3)
  const time = performance.now() - begin
  best = Math.max(best, rounds / time)
  if (time < 0.5) rounds *= 2
}
parentPort.postMessage(best)
`

/** The most multiplications and additions a second that 128-bit WebAssembly does without reading memory, in GFLOP/s. */
export async function peakRate(threads: number, milliseconds = 2500): Promise<number> {
  const { binary, error, stderr } = await asc.compileString(source, {
    optimizeLevel: 3,
    runtime: 'stub',
    enable: 'simd',
  })
  if (!binary) throw error ?? new Error(stderr.toString())
  const rates = Array.from({ length: threads }, () => {
    const thread = new Worker(worker, { eval: true, workerData: { binary, milliseconds } })
    return new Promise<number>((resolve, reject) => {
      thread.once('message', resolve)
      thread.once('error', reject)
    })
  })
  const rounds = (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0)
  return (rounds * 1e3 * FLOP_PER_ROUND) / 1e9
}
