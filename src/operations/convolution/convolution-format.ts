import type { DlArray } from '../../array/dlarray.js'
import { checkFormat, describe, normalized, numel, positionsOf } from '../../array/format.js'
import { DimensionError } from '../../errors.js'
import { permuteOperation } from '../arrays/permute.js'
import { relabelOperation } from '../arrays/relabel.js'
import { expandOperation } from '../reductions/sum.js'

// Brings labelled images and weights into the order in which convolutions are computed, and results back.

/** What a convolution computes with, and how its result gets the labels of X again. */
export interface Prepared {
  /** X as [S..., C, rest]: a T that is convolved has become the last S. */
  readonly image: DlArray
  /** Weights without labels: [filter..., channels, filters, groups], or [filter..., filters, channels, groups]. */
  readonly weights: DlArray
  restore(Y: DlArray): DlArray
}

/**
 * The dimensions convolved are the S of X, and its T where the weights have a T or X has no S. Weights without labels
 * stand in the order of `weightsOrder`.
 */
export function prepare(
  X: DlArray,
  weights: DlArray,
  weightsFormat: string | undefined,
  weightsOrder: 'CUU' | 'UCU',
  call: string,
): Prepared {
  if (weightsFormat !== undefined) checkWeightsFormat(weightsFormat, weights, call)
  const labels = weights.dims !== '' ? weights.dims : weightsFormat
  const spatial = positionsOf(X.dims, 'S').length
  const time = labels === undefined ? spatial === 0 && X.dims.includes('T') : labels.includes('T')
  if (labels !== undefined && (positionsOf(labels, 'S').length !== spatial || (time && !X.dims.includes('T'))))
    throw new DimensionError({
      call,
      expects: `weights with one S for each S of X${time ? ', and a T only where X has one' : ''}`,
      got: `weights labelled '${labels}' for X of ${describe(X)}`,
      remedy: `Name the weights' dimensions ${'S'.repeat(spatial)}${X.dims.includes('T') ? ' (and T to convolve over time)' : ''}, C, U (filters) and, for groups, U again.`,
    })
  const plain = labels === undefined ? weights : ordered(weights, labels, weightsOrder)
  if (!time) return { image: X, weights: plain, restore: (Y) => Y }
  const at = X.dims.indexOf('T')
  const order = X.size.map((_, d) => d).filter((d) => d !== at)
  order.splice(spatial, 0, at)
  return {
    image: moved(X, order, order.map((d) => (d === at ? 'S' : X.dims[d])).join('')),
    weights: plain,
    restore: (Y) =>
      moved(
        Y,
        order.map((_, d) => order.indexOf(d)),
        X.dims,
      ),
  }
}

/** The dimensions in another order, under new labels. */
function moved(X: DlArray, order: readonly number[], dims: string): DlArray {
  const plain = relabelOperation.run({ X }, { size: X.size, dims: '' })
  const Y = permuteOperation.run({ X: plain }, { order })
  return relabelOperation.run({ X: Y }, { size: order.map((d) => X.size[d] ?? 1), dims })
}

function checkWeightsFormat(format: string, weights: DlArray, call: string): void {
  checkFormat(format, call)
  const extra = weights.size.slice(format.length).some((extent) => extent !== 1)
  const wrong = format.includes('B') || positionsOf(format, 'U').length > 2 || extra
  if (weights.dims !== '' || wrong)
    throw new DimensionError({
      call,
      expects:
        "weights without labels and, as weightsFormat, one of S, T, C or U for each of their dimensions, as in 'SSCU'",
      got: `weightsFormat '${format}' for weights of ${describe(weights)}`,
      remedy: 'Label filter dimensions S or T, channels C, filters U and, for groups, U once more.',
    })
}

/** Weights without labels in the order S..., T, then as `weightsOrder` says. */
function ordered(weights: DlArray, labels: string, weightsOrder: 'CUU' | 'UCU'): DlArray {
  const [filters, groups] = positionsOf(labels, 'U')
  const channels = labels.indexOf('C')
  let next = Math.max(labels.length, weights.size.length)
  const orNew = (position: number | undefined) => (position === undefined || position < 0 ? next++ : position)
  const first = orNew(weightsOrder === 'CUU' ? channels : filters)
  const second = orNew(weightsOrder === 'CUU' ? filters : channels)
  const order = [...positionsOf(labels, 'S'), ...positionsOf(labels, 'T'), first, second, orNew(groups)]
  for (let d = 0; d < next; d++) if (!order.includes(d)) order.push(d)
  const plain = weights.dims === '' ? weights : relabelOperation.run({ X: weights }, { size: weights.size, dims: '' })
  return order.every((d, i) => d === i) ? plain : permuteOperation.run({ X: plain }, { order })
}

/** A bias with one element for each filter: a scalar is repeated. */
export function biasFor(bias: DlArray | undefined, filters: number): DlArray | undefined {
  if (!bias || numel(bias.size) !== 1 || filters === 1) return bias
  const scalar = relabelOperation.run({ X: bias }, { size: [1, 1], dims: '' })
  return expandOperation.run({ X: scalar }, normalized([filters, 1], ''))
}
