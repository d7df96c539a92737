/** Mini-batches for a network: which labels the dimensions of data in memory have. */

import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import { describe } from '../array/format.js'
import { ArrayDatastore, CombinedDatastore, datastoreSource, isBatchStream, streamSource } from '../data/datastore.js'
import type { BatchSource, BatchStream, PredictorData, SizedValues, TargetData } from '../data/minibatch.js'
import { inMemorySource, type SourceOptions } from '../data/source.js'
import { DimensionError, OptionError } from '../errors.js'
import { inputInfo, isInputLayer, type Layer, layerLabel } from '../layers/layer.js'
import { flatSize, plainLayout } from '../network/network-input.js'
import type { FlatData } from '../operations/arrays/array-data.js'

/** What data formats are found out from. */
export interface NetworkInputs {
  readonly layers: Iterable<Layer>
  readonly inputNames: readonly string[]
}

export interface NetworkDataOptions extends Omit<SourceOptions, 'inputFormat' | 'targetFormat'> {
  readonly inputDataFormats?: string | readonly string[]
  readonly targetDataFormats?: string | readonly string[]
}

/** Flat column-major elements whose size follows from the input layer. */
export type FlatArray = Exclude<FlatData, readonly number[]>

/** Predictors, or predictors with their targets. */
export type NetworkData = PredictorData | FlatArray | ArrayDatastore | CombinedDatastore | BatchStream

/**
 * The labels of data in memory, for each input of a network: `inputDataFormats`, or those that its input layer stands for
 * (images `SSCB`, features `BC`, sequences `TCB`); undefined where no input layer tells.
 */
export function inputFormats(
  net: NetworkInputs,
  given: string | readonly string[] | undefined,
  call: string,
): (string | undefined)[] {
  const names = net.inputNames
  if (given !== undefined && given !== 'auto') {
    const formats = typeof given === 'string' ? [given] : [...given]
    if (formats.length === names.length) return formats
    throw new OptionError({
      call,
      expects: `inputDataFormats for ${names.length === 1 ? 'the input' : `each of the ${names.length} inputs`} (${names.join(', ')})`,
      got: formats.map((format) => `'${format}'`).join(', '),
      remedy: 'Give one format for each input of the network.',
    })
  }
  // A layer that leaves the layout open has ''.
  return inputLayers(net).map((layer) => (layer && plainLayout(layer, inputInfo(layer))) || undefined)
}

/** The input layer of each input, where there is one. */
function inputLayers(net: NetworkInputs): (Layer | undefined)[] {
  const layers = new Map(Array.from(net.layers, (layer) => [layer.name, layer]))
  return net.inputNames.map((name) => {
    const layer = layers.get(name)
    return layer && isInputLayer(layer) ? layer : undefined
  })
}

/** As many observations as the elements make for the network's input layer. */
function withSize(net: NetworkInputs, values: FlatArray, call: string): SizedValues {
  const [layer] = inputLayers(net)
  try {
    if (layer) return { values, size: flatSize(values.length, layer, inputInfo(layer)) }
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
  }
  throw new DimensionError({
    call,
    expects: layer
      ? `whole observations for ${layerLabel(layer)}`
      : 'an input layer that tells the size of a flat array',
    got: `${values.length} elements`,
    remedy: 'Give the elements with their size: { values, size: [28, 28, 3, 1000] }.',
  })
}

function isDatastore(data: unknown): data is ArrayDatastore | CombinedDatastore {
  return data instanceof ArrayDatastore || data instanceof CombinedDatastore
}

/** True for data that brings its targets along: datastores and mini-batches. */
export function holdsTargets(data: unknown): data is ArrayDatastore | CombinedDatastore | BatchStream {
  return isBatchStream(data) || isDatastore(data)
}

/**
 * Mini-batches for a network: of predictors and targets in memory, of a datastore, or those that a stream gives.
 *
 * Throws an {@link OptionError} for targets beside a datastore or stream, which holds its own, and for several inputs from
 * one array.
 */
export function networkSource(
  net: NetworkInputs,
  data: NetworkData,
  targets: TargetData | undefined,
  options: NetworkDataOptions = {},
): BatchSource {
  const { inputDataFormats, targetDataFormats, ...rest } = options
  const call = options.call ?? 'trainnet'
  const targetFormats =
    targetDataFormats === undefined || targetDataFormats === 'auto' ? [] : [targetDataFormats].flat()
  if (holdsTargets(data) && targets !== undefined)
    throw new OptionError({
      call,
      expects: 'the targets of a datastore inside it',
      got: 'a datastore and targets beside it',
      remedy: 'Use combine(predictors, targets), or give mini-batches with targets.',
    })
  if (isBatchStream(data)) return streamSource(data, call)
  const formats = inputFormats(net, inputDataFormats, call)
  if (isDatastore(data)) return datastoreSource(data, formats, targetFormats, rest)
  if (formats.length > 1)
    throw new OptionError({
      call,
      expects: `data for ${formats.length} inputs (${net.inputNames.join(', ')})`,
      got: 'one array',
      remedy: 'Combine datastores: combine(arrayDatastore(X1), arrayDatastore(X2), arrayDatastore(T)).',
    })
  const predictors = ArrayBuffer.isView(data) ? withSize(net, data, call) : data
  return inMemorySource(predictors, targets, { ...rest, inputFormat: formats[0], targetFormat: targetFormats[0] })
}

/**
 * Throws a {@link DimensionError} where predictions and targets have different numbers of channels, or there are not as
 * many of them. Targets with one channel beside several of predictions pass where they are positions of classes.
 */
export function checkChannels(
  predictions: readonly (DlArray | ArrayInfo)[],
  targets: readonly (DlArray | ArrayInfo)[],
  call: string,
  encoding: 'onehot' | 'index' = 'onehot',
  classNames: readonly string[] = [],
): void {
  if (predictions.length !== targets.length)
    throw new DimensionError({
      call,
      expects: `targets for each of the ${predictions.length} outputs of the network`,
      got: String(targets.length),
      remedy: 'Give one array of targets for each output, in their order.',
    })
  const channels = ({ size, dims }: ArrayInfo | DlArray) => (dims.includes('C') ? size[dims.indexOf('C')]! : 1)
  predictions.forEach((prediction, i) => {
    const target = targets[i]!
    if (channels(prediction) === channels(target) || (encoding === 'index' && channels(target) === 1)) return
    throw new DimensionError({
      call,
      expects: `the number of channels in predictions (${channels(prediction)}) to match the number of channels in the targets (${channels(target)})`,
      got: `predictions of ${describe(prediction)} and targets of ${describe(target)}${labelled(classNames)}`,
      remedy: remedyFor(channels(prediction), channels(target), classNames.length > 0),
    })
  })
}

function labelled(classNames: readonly string[]): string {
  if (classNames.length === 0) return ''
  const shown = classNames.slice(0, 5).join(', ')
  const count = classNames.length === 1 ? '1 class' : `${classNames.length} classes`
  return `, labels of ${count} (${shown}${classNames.length > 5 ? ', ...' : ''})`
}

/** What helps where the targets have too many classes, or too few: one is also what numbers have. */
function remedyFor(predicted: number, given: number, areLabels: boolean): string {
  if (given > predicted) return 'Make the last layer give as many channels as there are classes.'
  const naming = `where labels lack some of the classes, name all of them in their order: categorical(T, names) with ${predicted} names; where they lack none, make the last layer give as many channels as there are classes.`
  return given === 1 && !areLabels
    ? `Give class labels as labels, strings or categorical(numbers); ${naming}`
    : `${naming.charAt(0).toUpperCase()}${naming.slice(1)}`
}
