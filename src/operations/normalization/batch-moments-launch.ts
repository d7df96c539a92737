import type { WasmBackend } from '../../backends/wasm/backend.js'
import { launchCopy } from '../arrays/movement.js'
import type { NormalizationPlan } from './grouped-normalization.js'

// Launches the kernels of kernels/normalization/batch-statistics.ts.

/** The parts that new mean and variance have in those of a data set. */
export interface Decays {
  readonly meanDecay: number
  readonly varianceDecay: number
}

/** Moves between statistics as kernels keep them, and mean and variance. */
export function launchMoments(
  wasm: WasmBackend,
  kernel: 'batchMoments' | 'batchStatistics',
  at: { statistics: number; mu: number; sigmaSq: number; datasetMu?: number; datasetSigmaSq?: number },
  { channels, epsilon, meanDecay, varianceDecay }: Pick<NormalizationPlan, 'channels' | 'epsilon'> & Partial<Decays>,
): void {
  const { statistics, mu, sigmaSq, datasetMu = 0, datasetSigmaSq = 0 } = at
  wasm.launch(
    kernel,
    {
      statistics,
      mu,
      sigmaSq,
      datasetMu,
      datasetSigmaSq,
      epsilon,
      meanDecay: meanDecay ?? 1,
      varianceDecay: varianceDecay ?? 1,
    },
    { items: channels, grain: 4096 },
  )
}

/**
 * What is given back where there is nothing to measure: the statistics of the data set as they are, NaN where there are none.
 * Addresses in the heap.
 */
export function launchNoMoments(
  wasm: WasmBackend,
  at: { statistics: number; mu: number; sigmaSq: number; datasetMu: number; datasetSigmaSq: number },
  plan: Pick<NormalizationPlan, 'channels' | 'epsilon'>,
): void {
  const { channels } = plan
  for (const y of [at.mu, at.sigmaSq]) wasm.launch('fill', { y, value: Number.NaN }, { items: channels, grain: 65536 })
  launchMoments(wasm, 'batchStatistics', at, plan)
  const keep = (x: number, y: number) => {
    if (x !== 0) launchCopy(wasm, x, y, { size: [channels], xSteps: [1], ySteps: [1] })
  }
  keep(at.datasetMu, at.mu)
  keep(at.datasetSigmaSq, at.sigmaSq)
}
