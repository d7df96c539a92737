import { type ArrayInfo, type DlArray, isdlarray } from '../../array/dlarray.js'
import { describe, labelOrder, numel } from '../../array/format.js'
import { asText, checkOptionNames, DimensionError, OptionError } from '../../errors.js'
import { alignedSize } from '../arrays/expansion.js'
import { label, relabelOperation, stripdims } from '../arrays/relabel.js'
import type { DataFormatOption } from '../call.js'
import { scaled, timesOperation } from '../elementwise/arithmetic.js'
import { expandOperation, sameSize, sumOperation } from '../reductions/sum.js'
import { type LossTerm, lossSumOperation, lossTermOperation } from './loss.js'

// What the loss functions have in common: matching targets, weights and masks with predictions, and what to divide by.

/** Options of every loss. */
export interface LossOptions extends DataFormatOption {
  /** `'sum'` (default): one number. `'none'`: one for each prediction, in its size and format. */
  readonly reduction?: 'sum' | 'none'
  /**
   * What the sum is divided by: `'batch-size'` (default), the extent of B; `'all-elements'`, the number of predictions;
   * `'mask-included'`, the number of predictions the mask includes; `'none'`, 1. Without effect when `reduction` is `'none'`.
   */
  readonly normalizationFactor?: 'batch-size' | 'all-elements' | 'mask-included' | 'none'
  /** Which predictions count: zeros and ones of the size of the predictions, or with labels and expanded. */
  readonly mask?: DlArray
  /** Factors of the predictions: a number, an array of their size, or an array with labels (`weightsFormat`), expanded. */
  readonly weights?: DlArray | number
  /** Labels of unformatted weights: `'C'` for one per class. */
  readonly weightsFormat?: string
}

const commonOptions = ['reduction', 'normalizationFactor', 'mask', 'weights', 'weightsFormat', 'dataFormat']
const choices = {
  reduction: ['sum', 'none'],
  normalizationFactor: ['batch-size', 'all-elements', 'mask-included', 'none'],
}

/** Throws an {@link OptionError} for options that are none, or values outside those in `choices`. */
export function checkLossOptions(
  call: string,
  options: object,
  more: Readonly<Record<string, readonly string[]>>,
): void {
  const accepted: Readonly<Record<string, readonly string[]>> = { ...choices, ...more }
  checkOptionNames(call, options, [...commonOptions, ...Object.keys(more)])
  for (const [name, value] of Object.entries(options)) {
    const values = accepted[name]
    if (value === undefined || !values || values.length === 0 || values.includes(value as string)) continue
    throw new OptionError({
      call,
      expects: `${name} among ${values.map((one) => `'${one}'`).join(', ')}`,
      got: asText(value),
      remedy: 'Leave it out for the default.',
    })
  }
}

/** Predictions and targets with the same size and labels. */
export interface Matched {
  readonly Y: DlArray
  readonly T: DlArray
}

/** The predictions with their labels. Throws an {@link OptionError} when nothing says what their dimensions are. */
export function labelledPredictions(call: string, Y: DlArray, { dataFormat }: DataFormatOption): DlArray {
  if (!isdlarray(Y))
    throw new DimensionError({
      call,
      expects: 'a dlarray of predictions',
      got: Array.isArray(Y) ? 'a JavaScript array' : typeof Y,
      remedy: 'Make an array with dlarray(values, format).',
    })
  if (dataFormat === undefined && Y.dims === '')
    throw new OptionError({
      call,
      expects: 'formatted predictions, or dataFormat',
      got: `${describe(Y)}`,
      remedy: "Label them with dlarray(Y, 'CB') or give { dataFormat: 'CB' }: the loss is divided by the extent of B.",
    })
  if (dataFormat !== undefined && Y.dims !== '')
    throw new OptionError({
      call,
      expects: 'dataFormat only with unformatted predictions',
      got: `dataFormat '${dataFormat}' and predictions labelled '${Y.dims}'`,
      remedy: 'Leave dataFormat out, or strip the labels with stripdims.',
    })
  return dataFormat === undefined ? Y : label(Y, dataFormat, call)
}

/** Targets in the size and labels of the predictions. Throws a {@link DimensionError} that names the dimension that differs. */
export function matchedTargets(call: string, Y: DlArray, T: DlArray, { dataFormat }: DataFormatOption): DlArray {
  if (!isdlarray(T))
    throw new DimensionError({
      call,
      expects: 'a dlarray of targets',
      got: Array.isArray(T) ? 'a JavaScript array' : typeof T,
      remedy: 'Make an array with dlarray(values, format).',
    })
  const labelled = T.dims === '' && dataFormat !== undefined ? label(T, dataFormat, call) : T
  if (labelled.dims !== '' && [...labelled.dims].every((name) => occurrences(Y.dims, name) > 0 || name === 'U')) {
    const aligned = alignedSize(labelled, Y.dims)
    if (sameSize(aligned, Y.size) && numel(labelled.size) === numel(Y.size)) return relabelled(labelled, Y)
    for (const [d, extent] of aligned.entries())
      if (extent !== Y.size[d]) throw mismatch(call, Y, labelled, Y.dims[d]!, extent, Y.size[d]!)
  }
  if (labelled.dims === '' && sameSize(labelled.size, Y.size)) return relabelled(labelled, Y)
  throw new DimensionError({
    call,
    expects: `targets of the size of the predictions, ${describe(Y)}`,
    got: describe(T),
    remedy: 'Give one target for each prediction, with the same labels or in the same order.',
  })
}

function occurrences(dims: string, name: string): number {
  return dims.split(name).length - 1
}

const dimensionNames: Readonly<Record<string, string>> = {
  S: 'spatial positions',
  C: 'channels',
  B: 'observations',
  T: 'time steps',
  U: 'elements',
}

function mismatch(call: string, Y: DlArray, T: DlArray, name: string, got: number, expected: number): DimensionError {
  const what = dimensionNames[name]
  return new DimensionError({
    call,
    expects: `the number of ${what} in predictions (${expected}) to match the number of ${what} in the targets (${got})`,
    got: `predictions of ${describe(Y)} and targets of ${describe(T)}`,
    remedy:
      name === 'C' && got === 1
        ? 'Class numbers or names become one channel per class with onehotencode.'
        : 'Give one target for each prediction.',
  })
}

function relabelled(X: DlArray, like: ArrayInfo): DlArray {
  if (X.dims === like.dims && sameSize(X.size, like.size)) return X
  return relabelOperation.run({ X }, { size: like.size, dims: like.dims })
}

/** A mask or weights brought to the size of the predictions. */
function spread(call: string, name: string, array: DlArray, Y: DlArray, format: string | undefined): DlArray {
  const labelled = array.dims === '' && format !== undefined ? label(array, format, call) : array
  if (labelled.dims === '' && !sameSize(labelled.size, Y.size))
    throw new DimensionError({
      call,
      expects: `${name} of the size of the predictions, or with labels`,
      got: `${describe(array)} for ${describe(Y)}`,
      remedy:
        name === 'weights'
          ? "Say what their dimension is with weightsFormat, for instance 'C'."
          : 'Label its dimensions.',
    })
  if (labelled.dims === '') return relabelled(labelled, Y)
  const alien = [...labelled.dims].find((one, d) => labelled.size[d] !== 1 && occurrences(Y.dims, one) === 0)
  const aligned = alignedSize(labelled, Y.dims)
  const fits = alien === undefined && aligned.every((extent, d) => extent === 1 || extent === Y.size[d])
  if (!fits)
    throw new DimensionError({
      call,
      expects: `${name} that fit predictions of ${describe(Y)}`,
      got: describe(labelled),
      remedy: 'Each dimension has the extent of the predictions, or 1.',
    })
  const positioned = relabelOperation.run({ X: labelled }, { size: aligned, dims: Y.dims })
  return expandOperation.run({ X: positioned }, { size: Y.size, dims: Y.dims })
}

/** What the sum is divided by. */
function divisor(call: string, Y: DlArray, mask: DlArray | undefined, options: LossOptions): number {
  const { normalizationFactor = 'batch-size' } = options
  if (normalizationFactor === 'none') return 1
  if (normalizationFactor === 'all-elements') return Y.numel
  if (normalizationFactor === 'batch-size') {
    const batch = Y.dims.indexOf('B')
    return batch < 0 ? 1 : Y.size[batch]!
  }
  if (!mask)
    throw new OptionError({
      call,
      expects: "a mask with normalizationFactor 'mask-included'",
      got: 'none',
      remedy: "Give mask, or use 'all-elements'.",
    })
  let included = 0
  for (const value of mask.values()) if (value !== 0) included++
  return included
}

/** The loss of matched predictions and targets: what every loss function returns. */
export function reducedLoss(
  call: string,
  { Y, T }: Matched,
  term: { readonly term: LossTerm; readonly transitionPoint?: number; readonly factor?: number },
  options: LossOptions,
): DlArray {
  const { reduction = 'sum', mask, weights, weightsFormat } = options
  const factor = term.factor ?? 1
  const spreadMask = mask && spread(call, 'the mask', mask, Y, options.dataFormat)
  const isWeighted = weights !== undefined || spreadMask !== undefined
  if (!isWeighted && reduction === 'sum')
    return lossSumOperation.run({ Y, T }, { ...term, factor: factor / divisor(call, Y, undefined, options) })
  let terms = lossTermOperation.run({ Y, T }, { ...term, factor })
  if (typeof weights === 'number') terms = scaled(terms, weights)
  else if (weights && weights.numel === 1) terms = timesOperation.run({ A: terms, B: stripdims(weights) })
  else if (weights) terms = timesOperation.run({ A: terms, B: spread(call, 'weights', weights, Y, weightsFormat) })
  if (spreadMask) terms = timesOperation.run({ A: terms, B: spreadMask })
  if (reduction === 'none')
    return options.dataFormat === undefined ? terms : stripdims(terms, inOrder(terms.dims, options.dataFormat))
  const total = stripdims(sumOperation.run({ X: terms }, { over: 'all' }))
  return scaled(
    relabelOperation.run({ X: total }, { size: [1, 1], dims: '' }),
    1 / divisor(call, Y, spreadMask, options),
  )
}

/** The labels that `format` names, in its order, as far as the array kept them. */
function inOrder(dims: string, format: string): string {
  const left = new Map([...labelOrder].map((name) => [name, occurrences(dims, name)]))
  let order = ''
  for (const name of format) {
    const count = left.get(name) ?? 0
    if (count === 0) continue
    order += name
    left.set(name, count - 1)
  }
  for (const [name, count] of left) order += name.repeat(count)
  return order
}
