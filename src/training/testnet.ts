import type { TargetData } from '../data/minibatch.js'
import { checkOptionNames, type DimensionError, OptionError, TrainingError } from '../errors.js'
import type { DlNetwork } from '../network/dlnetwork.js'
import { type MetricArgument, measured, metricNames, metricOf } from './metrics.js'
import { checkNetwork, predictBatch } from './minibatchpredict.js'
import { checkChannels, holdsTargets, type NetworkData, networkSource } from './network-data.js'

/** Options of {@link testnet}. */
export interface TestnetOptions {
  /** Observations in a mini-batch. Default 128. */
  readonly miniBatchSize?: number
  /** Classes in the order of the network's outputs. Default: the categories of the targets. */
  readonly classNames?: readonly string[]
  /** Labels of the predictors' dimensions as they are in memory, one format for each input. Default `'auto'`. */
  readonly inputDataFormats?: string | readonly string[]
  /** Labels of the targets' dimensions as they are in memory. Default `'auto'`. */
  readonly targetDataFormats?: string | readonly string[]
  /** Stops between two mini-batches by throwing the signal's reason. */
  readonly signal?: AbortSignal
}

const optionNames = ['miniBatchSize', 'classNames', 'inputDataFormats', 'targetDataFormats', 'signal']

/**
 * How good a network's predictions are: the values of metrics (`'accuracy'` in percent, `'rmse'`, `'fscore'`, `'precision'`,
 * `'recall'`, `'auc'`, functions, metric objects), in the order given; one number for one metric.
 *
 * `T` is class labels or numbers (a list of whole numbers is labels where a metric is of classes); a datastore or mini-batches hold their own targets: `testnet(net, store, metrics)`.
 *
 * Errors: a {@link DimensionError} where predictions and targets do not fit together, a {@link TrainingError} for data
 * without targets, and those of `predict`. Source: MATLAB, `testnet`.
 */
export async function testnet(
  net: DlNetwork,
  X: NetworkData,
  T: TargetData,
  metrics: MetricArgument,
  options?: TestnetOptions,
): Promise<number>
export async function testnet(
  net: DlNetwork,
  X: NetworkData,
  T: TargetData,
  metrics: readonly MetricArgument[],
  options?: TestnetOptions,
): Promise<number[]>
export async function testnet(
  net: DlNetwork,
  data: NetworkData,
  metrics: MetricArgument,
  options?: TestnetOptions,
): Promise<number>
export async function testnet(
  net: DlNetwork,
  data: NetworkData,
  metrics: readonly MetricArgument[],
  options?: TestnetOptions,
): Promise<number[]>
export async function testnet(net: DlNetwork, X: NetworkData, ...rest: readonly unknown[]): Promise<number | number[]> {
  const call = 'testnet'
  const hasTargets = !holdsTargets(X)
  const T = hasTargets ? (rest[0] as TargetData) : undefined
  const [metrics, options = {}] = (hasTargets ? rest.slice(1) : rest) as [
    MetricArgument | readonly MetricArgument[],
    TestnetOptions | undefined,
  ]
  checkNetwork(call, net)
  checkOptionNames(call, options, optionNames)
  const gathering = [metrics].flat().map((metric) => metricOf(checkMetric(metric, call)))
  const { signal, ...dataOptions } = options
  const labels = gathering.some(({ name }) => ofClasses.has(name)) ? 'onehot' : undefined
  const source = networkSource(net, X, T, { ...dataOptions, call, labels })
  for (const metric of gathering) metric.reset()
  for await (const batch of source) {
    signal?.throwIfAborted()
    const { targets } = batch
    if (targets.length === 0)
      throw new TrainingError({
        call,
        expects: 'data with targets',
        got: 'predictors alone',
        remedy: 'Give T, or a datastore made by combine(predictors, targets).',
      })
    predictBatch(net, batch, undefined, (outputs) => {
      checkChannels(outputs, targets, call, 'onehot', source.classNames)
      for (const metric of gathering) metric.update(outputs, targets)
    })
  }
  const values = gathering.map(measured)
  return Array.isArray(metrics) ? values : values[0]!
}

/** Metrics of classes: with them a plain list of numbers holds class labels. */
const ofClasses: ReadonlySet<string> = new Set(['accuracy', 'auc', 'fscore', 'precision', 'recall'])

function checkMetric(metric: unknown, call: string): MetricArgument {
  const name = typeof metric === 'string' ? metricNames.find((known) => known === metric.toLowerCase()) : undefined
  if (name) return name
  if (typeof metric === 'function' || (typeof metric === 'object' && metric !== null && 'evaluate' in metric))
    return metric as MetricArgument
  throw new OptionError({
    call,
    expects: `metrics: ${metricNames.map((known) => `'${known}'`).join(', ')}, functions or metric objects`,
    got: typeof metric === 'string' ? `'${metric}'` : metric === undefined ? 'none' : typeof metric,
    remedy: "Write testnet(net, X, T, 'accuracy').",
  })
}
