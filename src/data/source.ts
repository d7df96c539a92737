/** Mini-batches of data in memory. */

import type { UnderlyingType } from '../array/dlarray.js'
import { isdlarray } from '../array/dlarray.js'
import { DimensionError, OptionError } from '../errors.js'
import { isLabelCodes } from './categorical.js'
import {
  type BatchSourceState,
  gatheredBatch,
  type Label,
  type LabelData,
  type MiniBatch,
  type NumericData,
  type PredictorData,
  type Shuffler,
  type SyncBatchSource,
  type TargetData,
} from './minibatch.js'
import {
  denseObservations,
  isSequenceList,
  isSized,
  labelObservations,
  type Observations,
  type SequenceOptions,
  sequenceObservations,
} from './observations.js'

export interface SourceOptions extends SequenceOptions {
  /** Observations in a mini-batch. Default 128. */
  readonly miniBatchSize?: number
  /** Labels of the predictors' dimensions as they are in memory; formatted arrays have their own. */
  readonly inputFormat?: string
  /** The same for targets. Default: classes `'BC'`; numbers by their dimensions `'BC'`, `'TCB'`, `'SSCB'`, `'SSSCB'`. */
  readonly targetFormat?: string
  /** How class labels become numbers. Where it is given, plain lists of whole numbers are class labels too. */
  readonly labels?: 'onehot' | 'index'
  /** Classes in their order. Default: the categories of the targets. */
  readonly classNames?: readonly string[]
  /** What becomes of observations that do not fill the last mini-batch. Default `'return'`. */
  readonly partialMiniBatch?: 'return' | 'discard'
  /** Whether passes are many: then data is copied to the heap, where it is not too large, until `release`. Default false. */
  readonly isKept?: boolean
  /** Who asks, for messages. Default `'trainnet'`. */
  readonly call?: string
}

/** Mini-batches of one or more arrays of observations, in the order of the data or one drawn at random. */
export class ObservationSource implements SyncBatchSource {
  readonly numObservations: number
  readonly numBatches: number
  readonly classNames: readonly string[] | undefined
  readonly #inputs: readonly Observations[]
  readonly #targets: readonly Observations[]
  readonly #miniBatchSize: number
  readonly #options: SourceOptions
  /** Observations that a pass gives. */
  readonly #given: number
  #order: Uint32Array | undefined
  #position = 0

  constructor(inputs: readonly Observations[], targets: readonly Observations[], options: SourceOptions = {}) {
    const { miniBatchSize = 128, partialMiniBatch = 'return', call = 'trainnet' } = options
    if (!Number.isInteger(miniBatchSize) || miniBatchSize < 1)
      throw new OptionError({
        call,
        expects: 'miniBatchSize to be a positive whole number',
        got: String(miniBatchSize),
        remedy: 'Leave it out for 128 observations.',
      })
    const count = inputs[0]?.count ?? 0
    for (const target of [...inputs, ...targets])
      if (target.count !== count)
        throw new DimensionError({
          call,
          expects: 'as many observations in the targets as in the predictors',
          got: `${count} observations in the predictors and ${target.count} in the targets`,
          remedy: 'Check which dimension holds the observations: inputDataFormats and targetDataFormats label them.',
        })
    if (count === 0)
      throw new DimensionError({
        call,
        expects: 'at least one observation',
        got: 'none',
        remedy: 'Check the size of the data, and which dimension holds the observations.',
      })
    this.#inputs = inputs
    this.#targets = targets
    this.#miniBatchSize = miniBatchSize
    this.#options = options
    this.numObservations = count
    this.#given = partialMiniBatch === 'discard' && count > miniBatchSize ? count - (count % miniBatchSize) : count
    this.numBatches = Math.ceil(this.#given / miniBatchSize)
    this.classNames = targets.find((target) => target.classNames)?.classNames
  }

  shuffle(random: Shuffler): void {
    this.#order = Uint32Array.from(random.permutation(this.numObservations))
  }

  state(): BatchSourceState {
    return this.#order ? { order: Array.from(this.#order), position: this.#position } : { position: this.#position }
  }

  restore({ order, position }: BatchSourceState): void {
    const isPermutation = order === undefined || isOrderOf(order, this.numObservations)
    if (!isPermutation || !Number.isInteger(position) || position < 0 || position >= this.#given)
      throw new OptionError({
        call: 'trainnet',
        expects: `the state of a source with ${this.numObservations} observations`,
        got: `position ${position} in an order of ${order?.length ?? this.numObservations}`,
        remedy: 'Resume with the data that the checkpoint was made with.',
      })
    this.#order = order && Uint32Array.from(order)
    this.#position = position
  }

  whole(): ObservationSource {
    const all: SourceOptions = { ...this.#options, partialMiniBatch: 'return' }
    return this.#given === this.numObservations ? this : new ObservationSource(this.#inputs, this.#targets, all)
  }

  release(): void {
    for (const observations of [...this.#inputs, ...this.#targets]) observations.release?.()
  }

  *[Symbol.iterator](): Iterator<MiniBatch> {
    for (let first = this.#position; first < this.#given; ) {
      const end = Math.min(first + this.#miniBatchSize, this.#given)
      const batch = this.#batch(first, end)
      // After the last mini-batch a pass is over: its end is the next one's beginning.
      this.#position = end === this.#given ? 0 : end
      first = end
      yield batch
    }
  }

  #batch(first: number, end: number): MiniBatch {
    const gather = (observations: Observations) => observations.gather(this.#order, first, end)
    const [inputs, targets] = [this.#inputs.map(gather), this.#targets.map(gather)]
    return gatheredBatch({ inputs, targets, observations: end - first })
  }
}

function isOrderOf(order: readonly number[], count: number): boolean {
  if (order.length !== count) return false
  const seen = new Uint8Array(count)
  for (const entry of order) {
    if (!Number.isInteger(entry) || entry < 0 || entry >= count || seen[entry]) return false
    seen[entry] = 1
  }
  return true
}

/**
 * Mini-batches of predictors and targets in memory.
 *
 * Predictors are a DlArray, `{ values, size }`, nested arrays, or a list of sequences; targets likewise, or class labels,
 * which are encoded. Without targets the mini-batches have none. Data of other types than the network's is converted
 * mini-batch by mini-batch. A `double` DlArray gives `double` mini-batches, everything else `single` ones.
 *
 * Throws a {@link DimensionError} where predictors and targets have different numbers of observations or do not fit their
 * formats, an {@link OptionError} for predictors without a format and labels without a class.
 */
export function inMemorySource(
  X: PredictorData,
  T: TargetData | undefined,
  options: SourceOptions = {},
): ObservationSource {
  const call = options.call ?? 'trainnet'
  const inputs = [predictors(X, options.inputFormat, options, call)]
  const targets = T === undefined ? [] : [targetObservations(T, options, underlying(X), call)]
  return new ObservationSource(inputs, targets, options)
}

export function predictors(
  X: PredictorData,
  format: string | undefined,
  options: SourceOptions,
  call: string,
): Observations {
  if (isSequenceList(X)) return sequenceObservations(X, format ?? 'TC', options, 'the predictors', call, underlying(X))
  return denseObservations(X as NumericData, format, 'the predictors', call, { isKept: options.isKept })
}

/** The class that mini-batches of this data have. */
export function underlying(X: unknown): UnderlyingType {
  const first: unknown = isSequenceList(X) ? X[0] : X
  return isdlarray(first) && first.underlyingType === 'double' ? 'double' : 'single'
}

export function targetObservations(
  T: TargetData,
  options: SourceOptions,
  type: UnderlyingType,
  call: string,
): Observations {
  const { targetFormat, labels, classNames } = options
  if (isSequenceList(T)) return sequenceObservations(T, targetFormat ?? 'TC', options, 'the targets', call, type)
  if (isLabels(T, labels !== undefined)) {
    if (!isLabelCodes(T)) checkWhole(T, call)
    const size = isLabelCodes(T) ? T.size : [T.length, 1]
    const format = targetFormat ?? labelFormat(size)
    return labelObservations(T, format, { encoding: labels ?? 'onehot', classNames, type }, 'the targets', call)
  }
  const numbers = T as NumericData
  const format = isdlarray(numbers) && numbers.dims !== '' ? undefined : (targetFormat ?? numberFormat(numbers))
  return denseObservations(numbers, format, 'the targets', call, { type, isKept: options.isKept })
}

function isLabels(T: TargetData, numbersAreLabels: boolean): T is LabelData {
  if (isLabelCodes(T)) return true
  if (isdlarray(T)) return false
  if (ArrayBuffer.isView(T)) return T instanceof Uint8Array || numbersAreLabels
  if (!Array.isArray(T)) return false
  const first = T.find((entry) => entry !== null && entry !== undefined)
  return typeof first === 'string' || typeof first === 'boolean' || (typeof first === 'number' && numbersAreLabels)
}

/** Whole numbers name classes; others are values to predict, of which each would become a class of its own. */
function checkWhole(labels: ArrayLike<Label>, call: string): void {
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index]
    if (typeof label !== 'number' || Number.isNaN(label) || Number.isInteger(label)) continue
    throw new OptionError({
      call,
      expects: 'class labels: text, categorical, or whole numbers',
      got: `${label} at element ${index + 1} of the targets`,
      remedy:
        call === 'testnet'
          ? "Measure numbers with 'rmse'; if each of these is the name of a class, give categorical(T)."
          : "Train with the loss 'mse' for numbers; if each of these is the name of a class, give categorical(T).",
    })
  }
}

/** Formats by number of dimensions: a vector or matrix, sequences, images, volumes. */
const formatsOfNumbers = ['BC', 'BC', 'BC', 'TCB', 'SSCB', 'SSSCB']

/** A vector has a label for each observation, whichever way it lies. */
function labelFormat(size: readonly number[]): string {
  if (size.length <= 2) return size[0] === 1 && size[1] !== 1 ? 'CB' : 'BC'
  return formatsOfNumbers[size.length] ?? 'BC'
}

function numberFormat(T: NumericData): string {
  let dimensions = 0
  if (isdlarray(T) || isSized(T)) dimensions = T.size.length
  else for (let level: unknown = T; Array.isArray(level); level = level[0]) dimensions++
  return formatsOfNumbers[dimensions] ?? 'BC'
}
