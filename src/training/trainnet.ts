import type { DlArray } from '../array/dlarray.js'
import { type BatchSource, releaseBatch, type TargetData } from '../data/minibatch.js'
import { DlnetError, NetworkError, OptionError } from '../errors.js'
import {
  needsStatistics,
  type StatisticName,
  type StatisticsNeed,
  setStatistics,
} from '../layers/input-normalization.js'
import { inputInfo, isInputLayer, isLayer, type Layer } from '../layers/layer.js'
import { keep } from '../memory/scope.js'
import { DlNetwork } from '../network/dlnetwork.js'
import { dlnetwork } from '../network/network-making.js'
import { currentStream, RandomStream } from '../operations/arrays/random.js'
import { type Checkpoint, prepareCheckpoints, readCheckpoint } from './checkpoint.js'
import { inputStatistics } from './input-statistics.js'
import { withLayerCopies } from './layer-copies.js'
import { type Loss, type TrainingLoss, trainingLoss } from './losses.js'
import { metricsOf } from './metrics.js'
import { holdsTargets, type NetworkData, type NetworkInputs, networkSource } from './network-data.js'
import { setPopulationStatistics } from './population-statistics.js'
import { freshLike } from './solver-update.js'
import { createSolver } from './solvers.js'
import { callWithin, TrainingInterruptedError, validating } from './training-error.js'
import type { TrainingInfo } from './training-info.js'
import { TrainingRun } from './training-loop.js'
import type { TrainingOptions } from './training-options.js'

/** What `trainnet` trains: layers in series, or a network. */
export type Trainable = DlNetwork | Layer | Iterable<Layer>

/** What {@link trainnet} returns. */
export interface TrainingResult {
  /** The trained network. */
  readonly net: DlNetwork
  readonly info: TrainingInfo
}

/**
 * Trains a network and resolves to `{ net, info }`. What is given stays as it is.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `X`, `T` | predictors and targets in memory: dlarrays, `{ values, size }`, nested lists; targets also as class labels |
 * | `data` | instead of both, a datastore or a stream of mini-batches |
 * | `net` | a layer array or a `dlnetwork`; parameters it has are where training begins |
 * | `loss` | a name (see {@link Loss}) or `f(Y1, ..., YM, T1, ..., TM)` giving a scalar |
 * | `options` | what `trainingOptions` returned |
 *
 * Images are h-by-w-by-c-by-N, features N-by-c, sequences T-by-c-by-N, or as `inputDataFormats` says. Observations that
 * do not fill the last mini-batch of an epoch are left out of it (see `miniBatchSize`); datastores' too, while streams of
 * mini-batches and sources give what they give. The loss of the history is that of the mini-batch before its update, without the L2 penalty; validation
 * happens at iteration 0, every `validationFrequency` iterations and at the end. With a `seed` (or `rng`) two trainings have
 * the same bits, on any number of threads. With `resume` a training goes on from a checkpoint, and has the bits of one that
 * was never stopped: give it the same data, network, loss and options. What may change is `maxEpochs`, the learn rate and its
 * schedule, validation, and what is shown and saved; random numbers go on from the checkpoint, whatever `seed` says.
 *
 * Data in memory must not change while it trains: it may have been copied.
 *
 * Losses of classes take class labels: text, `categorical`, or whole numbers in a list.
 *
 * Errors: an {@link OptionError}, {@link DimensionError} or {@link NetworkError} for what does not fit together; once training
 * is under way a {@link TrainingInterruptedError}, which has the network so far, for instance when the loss becomes NaN: it
 * names the layer where that began. Source: MATLAB, `trainnet`.
 */
export function trainnet(
  X: NetworkData,
  T: TargetData,
  net: Trainable,
  loss: Loss,
  options: TrainingOptions,
): Promise<TrainingResult>
export function trainnet(
  data: NetworkData,
  net: Trainable,
  loss: Loss,
  options: TrainingOptions,
): Promise<TrainingResult>
export async function trainnet(...given: readonly unknown[]): Promise<TrainingResult> {
  const call = 'trainnet'
  const { data, targets, trainable, loss, options } = readArguments(given, call)
  const random = options.seed === undefined ? currentStream() : new RandomStream(options.seed)
  const plain = trainable instanceof DlNetwork ? trainable : layersOf(trainable, call)
  plain.checkInUse(call)
  const { inputNames } = plain
  const sources = withLayerCopies(plain, (layers) => sourcesOf({ layers, inputNames }, data, targets, loss, options))
  try {
    return await trained(plain, sources, loss, options, random)
  } finally {
    sources.training.release?.()
    sources.validation?.release?.()
  }
}

interface Sources {
  readonly training: BatchSource
  readonly validation: BatchSource | undefined
}

async function trained(
  plain: DlNetwork,
  sources: Sources,
  loss: TrainingLoss,
  options: TrainingOptions,
  random: RandomStream,
): Promise<TrainingResult> {
  const call = 'trainnet'
  if (options.checkpointPath !== '') await prepareCheckpoints(options.checkpointPath)
  const checkpoint = options.resume === undefined ? undefined : await readCheckpoint(options.resume)
  const net = await prepared(plain, sources.training, options, random, checkpoint)
  // The run changes parameters in place, so their memory must be nobody else's.
  const copies = net.parameterList().map(({ value }) => keep(freshLike(value, 'copy')))
  net.replaceParameters(copies)
  for (const copy of copies) copy.dispose()
  const parameters = net
    .parameterList()
    .map(({ layer, parameter, ...rest }) => ({ name: `${layer}/${parameter}`, ...rest }))
  if (parameters.length === 0)
    throw new NetworkError({
      call,
      expects: 'a network with learnable parameters',
      got: `no learnable parameters in ${withLayerCopies(net, ({ length }) => (length === 1 ? 'its layer' : `its ${length} layers`))}`,
      remedy: 'Add a layer that learns, such as fullyConnectedLayer(10).',
    })
  const solver = createSolver(options, parameters)
  const run = new TrainingRun({
    net,
    parameters,
    solver,
    loss,
    metrics: metricsOf(options.metrics),
    random,
    options,
    source: sources.training,
    validation: sources.validation,
  })
  const info = await run.run(checkpoint)
  if (options.batchNormalizationStatistics === 'population' && info.stopReason !== 'Stopped by signal')
    await finalStatistics(net, info, sources.training, random, options)
  return { net, info }
}

/** After training; an error then leaves the trained network to whoever catches it. */
async function finalStatistics(
  net: DlNetwork,
  info: TrainingInfo,
  source: BatchSource,
  random: RandomStream,
  { signal }: TrainingOptions,
): Promise<void> {
  try {
    await setPopulationStatistics(net, source, random, signal)
  } catch (error) {
    if (!(error instanceof DlnetError)) throw error
    const { expects, got, remedy } = error.problem
    throw new TrainingInterruptedError(
      {
        call: callWithin(error),
        expects: `${expects}, for the statistics of batch normalization after training`,
        got,
        remedy: `${remedy} error.net is the trained network with moving statistics.`,
      },
      net,
      info,
      { cause: error },
    )
  }
}

interface Arguments {
  readonly data: NetworkData
  readonly targets: TargetData | undefined
  readonly trainable: Trainable
  readonly loss: TrainingLoss
  readonly options: TrainingOptions
}

function readArguments(given: readonly unknown[], call: string): Arguments {
  const hasTargets = given.length === 5
  if (!hasTargets && given.length !== 4)
    throw new OptionError({
      call,
      expects: 'trainnet(X, T, net, loss, options) or trainnet(datastore, net, loss, options)',
      got: `${given.length} arguments`,
      remedy: "Write await trainnet(X, T, layers, 'crossentropy', trainingOptions('adam')).",
    })
  const options = given.at(-1) as TrainingOptions
  const isOptions = typeof options === 'object' && options !== null && 'solver' in options && Object.isFrozen(options)
  if (!isOptions)
    throw new OptionError({
      call,
      expects: 'options that trainingOptions made, as the last argument',
      got: typeof options === 'object' ? 'another object' : typeof options,
      remedy: "Write trainingOptions('sgdm', { maxEpochs: 4 }).",
    })
  const loss = trainingLoss(given.at(-2), call)
  const data = given[0] as NetworkData
  if (!hasTargets && !holdsTargets(data))
    throw new OptionError({
      call,
      expects: 'targets beside data in memory',
      got: 'predictors alone',
      remedy: 'Write trainnet(X, T, net, loss, options), or give a datastore that holds the targets.',
    })
  return {
    data,
    targets: hasTargets ? (given[1] as TargetData) : undefined,
    trainable: given.at(-3) as Trainable,
    loss,
    options,
  }
}

function layersOf(trainable: unknown, call: string): DlNetwork {
  const isList = typeof trainable === 'object' && trainable !== null && Symbol.iterator in trainable
  if (!isLayer(trainable) && !isList)
    throw new NetworkError({
      call,
      expects: 'layers or a dlnetwork',
      got: trainable === null ? 'null' : typeof trainable,
      remedy: 'Give a list of layers, or what dlnetwork returns.',
    })
  const layers = isLayer(trainable) ? trainable : Array.from(trainable as Iterable<Layer>)
  return dlnetwork(layers, { initialize: false })
}

function sourcesOf(
  net: NetworkInputs,
  data: NetworkData,
  targets: TargetData | undefined,
  loss: TrainingLoss,
  options: TrainingOptions,
): Sources {
  const { inputDataFormats, targetDataFormats, miniBatchSize, validationData } = options
  const { sequenceLength, sequencePaddingValue, sequencePaddingDirection } = options
  const all = {
    inputDataFormats,
    targetDataFormats,
    miniBatchSize,
    sequenceLength,
    sequencePaddingValue,
    sequencePaddingDirection,
    labels: loss.labels,
    isKept: true,
    call: 'trainnet',
  }
  const training = networkSource(net, data, targets, { ...all, partialMiniBatch: 'discard' })
  if (validationData === undefined) return { training, validation: undefined }
  const [X, T] = Array.isArray(validationData) ? validationData : [validationData, undefined]
  const { classNames } = training
  const validated = { ...all, call: validating, ...(classNames && { classNames }) }
  return { training, validation: networkSource(net, X, T, validated) }
}

/** An input of the network, as its input layer describes it. */
interface DescribedInput {
  readonly layer: string
  readonly need: StatisticsNeed | undefined
  /** Whether sizes have to come from the data. */
  readonly isOpen: boolean
}

function describeInputs(net: DlNetwork, reset: boolean): DescribedInput[] {
  return withLayerCopies(net, (layers) =>
    net.inputNames.map((name) => {
      const layer = layers.find((one) => one.name === name)
      const isOpen = !layer || !isInputLayer(layer) || inputInfo(layer) === undefined
      return { layer: name, need: layer && needsStatistics(layer, { reset }), isOpen }
    }),
  )
}

/** The network with statistics in its input layers and all parameters initialized, apart from the one given. */
async function prepared(
  given: DlNetwork,
  source: BatchSource,
  options: TrainingOptions,
  random: RandomStream,
  checkpoint: Checkpoint | undefined,
): Promise<DlNetwork> {
  const inputs = describeInputs(given, options.resetInputNormalization)
  let net = given
  if (inputs.some(({ need }) => need !== undefined)) {
    const statistics = checkpoint
      ? inputs.map((input) => savedStatistics(input, checkpoint))
      : await inputStatistics(
          source.whole?.() ?? source,
          inputs.map(({ need }) => need),
          options.signal,
        )
    for (const [i, values] of statistics.entries())
      if (values) {
        net = withStatistics(net, inputs[i]!.layer, values)
        if (!checkpoint) for (const array of Object.values(values)) array.dispose()
      }
  }
  const seed = options.seed === undefined ? undefined : random.integer(2 ** 32)
  if (!inputs.some(({ isOpen }) => isOpen)) return net.initialize({ seed })
  return withFirstInputs(source, (examples) => net.initialize(...examples, { seed }))
}

function withStatistics(
  net: DlNetwork,
  name: string,
  values: Partial<Readonly<Record<StatisticName, DlArray>>>,
): DlNetwork {
  return withLayerCopies(net, (layers) => {
    const layer = layers.find((one) => one.name === name)!
    setStatistics(layer, values)
    return net.replaceLayer(name, layer)
  })
}

function savedStatistics(
  { layer, need }: DescribedInput,
  { arrays }: Checkpoint,
): Partial<Record<StatisticName, DlArray>> | undefined {
  if (!need) return undefined
  const found = need.statistics.flatMap((name) => {
    const array = arrays[`statistics/${layer}/${name}`]
    return array ? [[name, array] as const] : []
  })
  return Object.fromEntries(found)
}

/** What a function makes of the inputs of the first mini-batch; the source stands afterwards where it stood. */
async function withFirstInputs<R>(source: BatchSource, use: (inputs: readonly DlArray[]) => R): Promise<R> {
  const before = source.state()
  for await (const batch of source) {
    try {
      return use(batch.inputs)
    } finally {
      releaseBatch(batch)
      source.restore(before)
    }
  }
  return use([])
}
