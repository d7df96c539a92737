import type { DlArray } from '../array/dlarray.js'
import { positionsOf } from '../array/format.js'
import { type BatchSource, releaseBatch } from '../data/minibatch.js'
import { TrainingError } from '../errors.js'
import type { StatisticName, StatisticsNeed } from '../layers/input-normalization.js'
import { scope } from '../memory/scope.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import { relabelOperation } from '../operations/arrays/relabel.js'
import { minusOperation, timesOperation } from '../operations/elementwise/arithmetic.js'
import { maxOverOperation, minOverOperation } from '../operations/reductions/extremum.js'
import { sumOperation } from '../operations/reductions/sum.js'
import { Moments } from './moments.js'
import { pacer } from './pacing.js'

// Statistics of the training data for input layers: one pass over the data before training.

/**
 * Statistics of one input over all observations, mini-batch by mini-batch; the standard deviation is that of the population.
 */
export class InputStatistics {
  readonly need: StatisticsNeed
  readonly #moments: Moments
  #min: Float64Array
  #max: Float64Array

  constructor(need: StatisticsNeed) {
    const length = need.size.reduce((a, b) => a * b, 1)
    this.need = need
    this.#moments = new Moments(length)
    this.#min = new Float64Array(length).fill(Number.POSITIVE_INFINITY)
    this.#max = new Float64Array(length).fill(Number.NEGATIVE_INFINITY)
  }

  /** Takes a mini-batch: a formatted array. */
  update(X: DlArray): void {
    const { statistics, dimension } = this.need
    const labels = dimension === 'channel' ? 'SBT' : dimension === 'element' ? 'BT' : 'SCBT'
    const over = positionsOf(X.dims, labels).map((d) => d + 1)
    scope(() => {
      if (statistics.includes('mean') || statistics.includes('standardDeviation')) this.#addMoments(X, over)
      if (statistics.includes('min')) {
        const values = minOverOperation.run({ X }, { over }).values()
        values.forEach((value, i) => {
          this.#min[i] = Math.min(this.#min[i]!, value)
        })
      }
      if (statistics.includes('max')) {
        const values = maxOverOperation.run({ X }, { over }).values()
        values.forEach((value, i) => {
          this.#max[i] = Math.max(this.#max[i]!, value)
        })
      }
    })
  }

  #addMoments(X: DlArray, over: readonly number[]): void {
    const sums = sumOperation.run({ X }, { over })
    const count = X.numel / sums.numel
    if (count === 0) return
    // A mean rounded to the class of the data is only a shift; what it lacks comes back through the sums of differences.
    const means = Float64Array.from(sums.values(), (sum) => sum / count)
    const plain = dlarray(means, [...sums.size], { type: X.underlyingType === 'double' ? 'double' : 'single' })
    const shift = relabelOperation.run({ X: plain }, { size: sums.size, dims: sums.dims })
    const centred = minusOperation.run({ A: X, B: shift })
    const first = sumOperation.run({ X: centred }, { over }).values()
    const second = sumOperation.run({ X: timesOperation.run({ A: centred, B: centred }) }, { over }).values()
    const shifts = shift.values()
    const exact = Float64Array.from(shifts, (value, i) => value + first[i]! / count)
    const squares = Float64Array.from(second, (value, i) => Math.max(0, value - first[i]! ** 2 / count))
    this.#moments.add(count, exact, squares)
  }

  /** The statistics needed, with the size they need. */
  values(): Partial<Record<StatisticName, DlArray>> {
    const { statistics, size } = this.need
    const all: Record<StatisticName, Float64Array> = {
      mean: this.#moments.mean,
      standardDeviation: this.#moments.variance().map(Math.sqrt),
      min: this.#min,
      max: this.#max,
    }
    return Object.fromEntries(statistics.map((name) => [name, dlarray(all[name], size)]))
  }
}

/**
 * Statistics of the inputs that need some, by position, from one pass over the data. When the signal comes, of what was seen
 * so far: training will not begin.
 */
export async function inputStatistics(
  source: BatchSource,
  needs: readonly (StatisticsNeed | undefined)[],
  signal: AbortSignal | undefined,
): Promise<(Partial<Record<StatisticName, DlArray>> | undefined)[]> {
  const statistics = needs.map((need) => need && new InputStatistics(need))
  const pause = pacer()
  let observations = 0
  for await (const batch of source) {
    try {
      for (const [i, one] of statistics.entries()) one?.update(batch.inputs[i]!)
    } finally {
      releaseBatch(batch)
    }
    observations += batch.observations
    if (signal?.aborted) break
    await pause()
  }
  if (observations === 0)
    throw new TrainingError({
      call: 'trainnet',
      expects: 'observations to take the statistics of input layers from',
      got: 'none',
      remedy: 'Check the data: a stream must give its mini-batches anew at each pass.',
    })
  return statistics.map((one) => one?.values())
}
