import type { DlArray } from '../array/dlarray.js'
import { type BatchSource, releaseBatch } from '../data/minibatch.js'
import type { BatchNormalizationLayer } from '../layers/batch-normalization.js'
import { copyLayer, type Layer } from '../layers/layer.js'
import { scope } from '../memory/scope.js'
import { DlNetwork } from '../network/dlnetwork.js'
import type { ParameterRow } from '../network/network-display.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import type { RandomStream } from '../operations/arrays/random.js'
import { Moments } from './moments.js'
import { pacer } from './pacing.js'

// Statistics of batch normalization layers over all mini-batches of an epoch, from one more pass over them after training.

function isBatchNormalization(layer: Layer): layer is BatchNormalizationLayer {
  return layer.className === 'BatchNormalizationLayer'
}

/** The network over the same parameters, whose new state is that of a mini-batch alone. */
function withoutMemory(net: DlNetwork): DlNetwork {
  const { graph } = net.content
  const layers = graph.layers.map((layer) => {
    const copy = copyLayer(layer)
    if (isBatchNormalization(copy)) Object.assign(copy, { meanDecay: 1, varianceDecay: 1 })
    return copy
  })
  return new DlNetwork({ ...net.content, graph: { ...graph, layers } })
}

/**
 * Gives each batch normalization layer the mean and variance of all elements that reach it from the data, in a pass in which
 * mini-batches are normalized by their own statistics, as in training. Those of the mini-batches are joined in float64. When the
 * signal comes, the statistics stay what they were.
 *
 * Source: MATLAB, `trainingOptions`, `BatchNormalizationStatistics`: `"population"`.
 */
export async function setPopulationStatistics(
  net: DlNetwork,
  source: BatchSource,
  random: RandomStream,
  signal: AbortSignal | undefined,
): Promise<void> {
  const isMean = (row: ParameterRow) => row.parameter === 'TrainedMean'
  const found = new Map(net.state.filter(isMean).map(({ layer, value }) => [layer, new Moments(value!.numel)]))
  if (found.size === 0) return
  const measuring = withoutMemory(net)
  const pause = pacer()
  try {
    // A training that was stopped stands in the middle of a pass.
    source.restore({ ...source.state(), position: 0 })
    for await (const batch of source) {
      try {
        if (signal?.aborted) return
        measure(measuring, batch.inputs, random, found)
      } finally {
        releaseBatch(batch)
      }
      await pause()
    }
  } finally {
    measuring.dispose()
  }
  scope(() => {
    net.state = net.state.map((row) => {
      const moments = found.get(row.layer)
      const { size, underlyingType } = row.value!
      const type = underlyingType === 'double' ? 'double' : 'single'
      if (!moments || moments.count === 0) return row
      const values = isMean(row) ? moments.mean : moments.variance()
      return { ...row, value: dlarray(values, [...size], { type }) }
    })
  })
}

/** Joins the statistics of a mini-batch to those found before. */
function measure(
  net: DlNetwork,
  inputs: readonly DlArray[],
  random: RandomStream,
  found: ReadonlyMap<string, Moments>,
): void {
  scope(() => {
    const counts = new Map<string, number>()
    const { state } = net.run(inputs, {
      training: true,
      random,
      // A batch normalization gives as many elements as it takes.
      observe: (layer, [output]) => counts.set(layer, output!.numel),
    })
    const values = (layer: string, name: string) =>
      state.find((row) => row.layer === layer && row.parameter === name)!.value!.values()
    for (const [layer, moments] of found) {
      const count = (counts.get(layer) ?? 0) / moments.length
      if (count === 0) continue
      const squares = Float64Array.from(values(layer, 'TrainedVariance'), (variance) => variance * count)
      moments.add(count, values(layer, 'TrainedMean'), squares)
    }
  })
}
