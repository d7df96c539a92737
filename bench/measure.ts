import type { Clock } from './clock.js'
import type { Contender, ContenderName } from './contender-process.js'
import { difference, type Ready, type Sketch } from './protocol.js'
import type { Row } from './rows/row.js'

export interface Effort {
  /** Times that every contender has its turn. */
  readonly rounds: number
  /** Milliseconds of calls before the first that counts: compilers of JavaScript need about a second. */
  readonly warmUp: number
  /** Shortest turn in milliseconds: fast work is called several times in it. */
  readonly turn: number
  readonly clock: Clock
}

/** Contenders slower than this, in milliseconds a call, have a turn in the first rounds only. */
const SLOW = 1000
const SLOW_ROUNDS = 2
const MOST_CALLS = 500
/** Milliseconds between turns, in which threads of the last contender that still spin go to sleep. */
const PAUSE = 15

export interface Figure {
  /** Median of all calls, in milliseconds. */
  readonly median: number
  readonly shortest: number
  readonly calls: number
}

export type Result =
  | {
      readonly outcome: 'timed'
      /** With outputs reused; the same object as `asCalled` where that is no other call. */
      readonly reusing: Figure
      readonly asCalled: Figure
      /** Largest relative difference to dlnet; undefined where there is nothing to compare. */
      readonly difference: number | undefined
      readonly threads: number
    }
  /** It computed something else than dlnet. */
  | { readonly outcome: 'differs'; readonly output: string; readonly difference: number }
  /** Absent in this row, or altogether. */
  | { readonly outcome: 'unsupported' | 'failed' | 'not installed'; readonly because: string }

export type Results = Partial<Record<ContenderName, Result>>

/** Times one row with all contenders, in turns: A B C A B C ... */
export async function measureRow(row: Row, contenders: readonly Contender[], effort: Effort): Promise<Results> {
  const results: Results = {}
  const ready = new Map<Contender, Ready>()
  let own: Readonly<Record<string, Sketch>> | undefined
  const differences = new Map<Contender, number>()
  for (const contender of contenders) {
    const answer = await contender.ask({ ask: 'prepare', task: row.task, warmUp: effort.warmUp })
    if ('unsupported' in answer) results[contender.name] = { outcome: 'unsupported', because: answer.unsupported }
    else if ('failure' in answer) results[contender.name] = { outcome: 'failed', because: answer.failure }
    else {
      if (contender.name === 'dlnet') own = answer.outputs
      else if (own && Object.keys(answer.outputs).length > 0) {
        const { output, relative } = difference(own, answer.outputs)
        differences.set(contender, relative)
        if (!(relative <= row.tolerance)) {
          results[contender.name] = { outcome: 'differs', output, difference: relative }
          await contender.ask({ ask: 'release' })
          continue
        }
      }
      ready.set(contender, answer)
    }
  }
  const samples = await takeTurns(ready, effort)
  for (const [contender, { reuses }] of ready) {
    const { reusing, asCalled, failure } = samples.get(contender)!
    await contender.ask({ ask: 'release' })
    if (failure !== undefined) {
      results[contender.name] = { outcome: 'failed', because: failure }
      continue
    }
    const called = figure(asCalled)
    results[contender.name] = {
      outcome: 'timed',
      asCalled: called,
      reusing: reuses ? figure(reusing) : called,
      difference: differences.get(contender),
      threads: contender.hello.threads,
    }
  }
  return results
}

interface Samples {
  readonly reusing: number[]
  readonly asCalled: number[]
  failure?: string
}

async function takeTurns(ready: ReadonlyMap<Contender, Ready>, { rounds, turn, clock }: Effort) {
  const samples = new Map<Contender, Samples>()
  for (const contender of ready.keys()) samples.set(contender, { reusing: [], asCalled: [] })
  for (let round = 0; round < rounds; round++)
    for (const [contender, { milliseconds, reuses }] of ready) {
      const taken = samples.get(contender)!
      if (taken.failure !== undefined || (milliseconds > SLOW && round >= SLOW_ROUNDS)) continue
      const calls = Math.min(MOST_CALLS, Math.max(1, Math.ceil(turn / Math.max(milliseconds, 1e-3))))
      for (const reusing of reuses ? [true, false] : [false]) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE))
        const settling = milliseconds <= SLOW
        const answer = await contender.ask({ ask: 'time', calls, settling, reusing, clock })
        if ('failure' in answer) taken.failure = answer.failure
        else (reusing ? taken.reusing : taken.asCalled).push(...answer.milliseconds)
      }
    }
  return samples
}

export function figure(samples: readonly number[]): Figure {
  return { median: median(samples), shortest: Math.min(...samples), calls: samples.length }
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
