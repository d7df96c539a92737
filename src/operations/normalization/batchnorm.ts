import { type DlArray, isdlarray } from '../../array/dlarray.js'
import { OptionError } from '../../errors.js'
import { call, callFor, type DataFormatOption, type Operand } from '../call.js'
import { batchnormGivenOperation } from './batchnorm-given.js'
import { batchnormOperation, batchnormWithStatisticsOperation } from './batchnorm-training.js'

/** Options of {@link batchnorm}. */
export interface BatchnormOptions extends DataFormatOption {
  /** Added to the variance, positive; default 1e-5. */
  readonly epsilon?: number
}

/**
 * Batch normalization: normalizes each channel over the B, S, T and U dimensions, then scales and shifts it,
 * y = scale * (x - mu) / sqrt(sigmaSq + epsilon) + offset. In training by the mean and the biased variance of X itself; in
 * prediction by those given as `mu` and `sigmaSq`.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `X` | any format with C; the result has the same format. Unformatted with `dataFormat` |
 * | `offset`, `scale` | one element per channel: an array without labels along one dimension or labelled C, or a list |
 * | `mu`, `sigmaSq` | mean and variance of each channel, in the same form; without them those of X |
 * | `epsilon` | positive, added to the variance; default 1e-5 |
 * | `dataFormat` | labels of an unformatted `X`; the result is unformatted in the same order |
 *
 * {@link batchnormWithStatistics} gives the statistics too. Errors: a {@link DimensionError} without C or with parameters of
 * another length, an {@link OptionError} for epsilon. Source: MATLAB, `batchnorm`; Ioffe, Szegedy, "Batch Normalization", 2015.
 */
export function batchnorm<F extends string>(
  X: DlArray<F>,
  offset: Operand,
  scale: Operand,
  options?: BatchnormOptions,
): DlArray<F>
export function batchnorm<F extends string>(
  X: DlArray<F>,
  offset: Operand,
  scale: Operand,
  mu: Operand,
  sigmaSq: Operand,
  options?: BatchnormOptions,
): DlArray<F>
export function batchnorm(
  X: DlArray,
  offset: Operand,
  scale: Operand,
  ...more: readonly (Operand | BatchnormOptions | undefined)[]
): DlArray {
  const { first, second, options } = statisticsAndOptions(more, 'batchnorm')
  if (first === undefined) return call(batchnormOperation, { X, offset, scale }, options)
  return call(batchnormGivenOperation, { X, offset, scale, mu: first, sigmaSq: second! }, options)
}

/** Options of {@link batchnormWithStatistics}. */
export interface BatchnormUpdateOptions extends BatchnormOptions {
  /** The part of the mean of X in the updated mean of the data set, 0 to 1; default 0.1. */
  readonly meanDecay?: number
  /** The part of the variance of X in the updated variance of the data set, 0 to 1; default 0.1. */
  readonly varianceDecay?: number
}

/** The result of {@link batchnormWithStatistics}: statistics are C-by-1, without labels. */
export interface BatchNormalized<F extends string = string> {
  readonly Y: DlArray<F>
  /** Mean of each channel; where statistics of a data set were given, theirs after the update. */
  readonly mu: DlArray
  /** Variance of each channel, likewise. */
  readonly sigmaSq: DlArray
}

/**
 * Batch normalization as in training, with its statistics: `[Y, mu, sigmaSq] = batchnorm(X, offset, scale)`. Given the
 * statistics of a data set, it gives them updated: `[Y, datasetMu, datasetSigmaSq] = batchnorm(X, offset, scale, datasetMu,
 * datasetSigmaSq)`, each decay * that of X + (1 - decay) * the old one; Y does not depend on them. X without elements leaves
 * them as they are, and has statistics of NaN itself.
 *
 * Other arguments and errors as in {@link batchnorm}. Source: MATLAB, `batchnorm`.
 */
export function batchnormWithStatistics<F extends string>(
  X: DlArray<F>,
  offset: Operand,
  scale: Operand,
  options?: BatchnormOptions,
): BatchNormalized<F>
export function batchnormWithStatistics<F extends string>(
  X: DlArray<F>,
  offset: Operand,
  scale: Operand,
  datasetMu: Operand,
  datasetSigmaSq: Operand,
  options?: BatchnormUpdateOptions,
): BatchNormalized<F>
export function batchnormWithStatistics(
  X: DlArray,
  offset: Operand,
  scale: Operand,
  ...more: readonly (Operand | BatchnormUpdateOptions | undefined)[]
): BatchNormalized {
  const { first, second, options } = statisticsAndOptions(more, 'batchnormWithStatistics')
  const dataset = first !== undefined && { datasetMu: first, datasetSigmaSq: second! }
  return callFor(batchnormWithStatisticsOperation, { X, offset, scale, ...dataset }, options, ['Y', 'mu', 'sigmaSq'])
}

/** Both statistics, or none, and the options behind them. */
function statisticsAndOptions(
  more: readonly (Operand | BatchnormUpdateOptions | undefined)[],
  call: string,
): { first?: Operand; second?: Operand; options: BatchnormUpdateOptions } {
  const [first, second] = more
  if (!isOperand(first)) return { options: first ?? {} }
  if (!isOperand(second))
    throw new OptionError({
      call,
      expects: 'a mean and a variance, or neither',
      got: 'a mean alone',
      remedy: 'Give the variance as the argument behind the mean.',
    })
  return { first, second, options: (more[2] ?? {}) as BatchnormUpdateOptions }
}

function isOperand(value: Operand | BatchnormOptions | undefined): value is Operand {
  return isdlarray(value) || typeof value === 'number' || Array.isArray(value) || ArrayBuffer.isView(value)
}
