import { checkArray, type DlArray } from '../../array/dlarray.js'
import { describe, numel } from '../../array/format.js'
import { DimensionError, OptionError } from '../../errors.js'
import { relabelOperation } from '../arrays/relabel.js'
import { operation } from '../operation.js'
import { checkLossOptions, type LossOptions, labelledPredictions, matchedTargets, reducedLoss } from './loss-options.js'

/** Options of {@link crossentropy}. */
export interface CrossentropyOptions extends LossOptions {
  /** `'single-label'` (default): one class per observation. `'multilabel'`: each channel is a yes or no of its own. */
  readonly classificationMode?: 'single-label' | 'multilabel'
}

/**
 * Cross-entropy of predicted probabilities `Y` and targets `T` (one-hot or probabilities): `-1/N * sum(T .* log(Y))`, or for
 * `'multilabel'` `-1/N * sum(T .* log(Y) + (1 - T) .* log(1 - Y))`, where N is the extent of B.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `Y` | probabilities, as softmax (or sigmoid) gives them; formatted, or unformatted with `dataFormat` |
 * | `T` | targets with the size and labels of `Y`, or unformatted of its size |
 * | options | {@link CrossentropyOptions}; by default the result is an unformatted scalar |
 *
 * A probability of 0 counts as 2^-60 in single (2^-500 in double), so that loss and gradients stay finite; the gradient there is
 * that at the bound. NaN stays NaN. Errors: a {@link DimensionError} when sizes differ, an {@link OptionError} for options.
 * Source: MATLAB, `crossentropy`.
 */
export function crossentropy(
  Y: DlArray,
  T: DlArray,
  options?: CrossentropyOptions & { readonly reduction?: 'sum' },
): DlArray<''>
export function crossentropy(Y: DlArray, T: DlArray, options?: CrossentropyOptions): DlArray
export function crossentropy(Y: DlArray, T: DlArray, options: CrossentropyOptions = {}): DlArray {
  checkLossOptions('crossentropy', options, { classificationMode: ['single-label', 'multilabel'] })
  const { classificationMode = 'single-label', ...rest } = options
  const labelled = labelledPredictions('crossentropy', Y, rest)
  const term = classificationMode === 'multilabel' ? 'binarycrossentropy' : 'crossentropy'
  return reducedLoss(
    'crossentropy',
    { Y: labelled, T: matchedTargets('crossentropy', labelled, T, rest) },
    { term },
    rest,
  )
}

/** Options of {@link indexcrossentropy}. */
export interface IndexCrossentropyOptions extends LossOptions {
  /** A target that does not count, outside 1 to the number of classes: 0, for instance. Default: none. */
  readonly maskIndex?: number
}

/**
 * Cross-entropy of predicted probabilities and class numbers: `-1/N * sum(log(Y(class of each observation)))`.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `Y` | probabilities with a C dimension of one element per class; formatted, or unformatted with `dataFormat` |
 * | `T` | class numbers, counted from 1, with the size of `Y` but for C, where they have one element (or no C) |
 * | options | {@link IndexCrossentropyOptions} |
 *
 * Errors: a {@link DimensionError} for a class number outside 1 to K, and as {@link crossentropy}. Source: MATLAB, `indexcrossentropy`.
 */
export function indexcrossentropy(
  Y: DlArray,
  T: DlArray,
  options?: IndexCrossentropyOptions & { readonly reduction?: 'sum' },
): DlArray<''>
export function indexcrossentropy(Y: DlArray, T: DlArray, options?: IndexCrossentropyOptions): DlArray
export function indexcrossentropy(Y: DlArray, T: DlArray, options: IndexCrossentropyOptions = {}): DlArray {
  checkLossOptions('indexcrossentropy', options, { maskIndex: [] })
  const { maskIndex, ...rest } = options
  const labelled = labelledPredictions('indexcrossentropy', Y, rest)
  const channel = labelled.dims.indexOf('C')
  if (channel < 0)
    throw new DimensionError({
      call: 'indexcrossentropy',
      expects: 'predictions with a channel dimension (C), one element per class',
      got: describe(labelled),
      remedy: 'Label the dimension of the classes C.',
    })
  const classes = labelled.size[channel]!
  checkArray(T, 'indexcrossentropy', 'T')
  const indices = matchedIndices(labelled, T, channel, rest.dataFormat)
  checkIndices(indices, classes, maskIndex)
  const encoded = oneHotOperation.run({ T: indices }, { classes })
  return reducedLoss('indexcrossentropy', { Y: labelled, T: encoded }, { term: 'crossentropy' }, rest)
}

/** The class numbers with the labels of Y and one channel. */
function matchedIndices(Y: DlArray, T: DlArray, channel: number, dataFormat: string | undefined): DlArray {
  const size = Y.size.map((extent, d) => (d === channel ? 1 : extent))
  const one = relabelOperation.infer({ X: { size, dims: Y.dims, type: 'single' } }, { size, dims: Y.dims })[0]!
  // Without a C of their own, formatted class numbers lie in the order of the other labels.
  const names = T.dims === '' ? '' : T.dims.replace('C', '').replace(/U+$/, '')
  const rest = Y.dims.replace('C', '').replace(/U+$/, '')
  const isFormatted = T.dims !== '' && names === rest && numel(T.size) === numel(size)
  const isPlain = T.dims === '' && numel(T.size) === numel(size) && (dataFormat === undefined || fits(T.size, size))
  if (!isFormatted && !isPlain)
    throw new DimensionError({
      call: 'indexcrossentropy',
      expects: `class numbers for predictions of ${describe(Y)}: ${describe(one)}`,
      got: describe(T),
      remedy: 'Give one class number for each prediction; C has one element or is missing.',
    })
  return relabelOperation.run({ X: T }, { size, dims: Y.dims })
}

function fits(a: readonly number[], b: readonly number[]): boolean {
  const extents = (size: readonly number[]) => size.filter((extent) => extent !== 1).join()
  return extents(a) === extents(b)
}

function checkIndices(T: DlArray, classes: number, maskIndex: number | undefined): void {
  if (maskIndex !== undefined && (!Number.isInteger(maskIndex) || (maskIndex >= 1 && maskIndex <= classes)))
    throw new OptionError({
      call: 'indexcrossentropy',
      expects: `a whole number outside 1 to ${classes} for maskIndex`,
      got: String(maskIndex),
      remedy: 'Use 0 for targets that do not count.',
    })
  for (const index of T.values())
    if (!(Number.isInteger(index) && index >= 1 && index <= classes) && index !== maskIndex)
      throw new DimensionError({
        call: 'indexcrossentropy',
        expects: `class numbers from 1 to ${classes}`,
        got: String(index),
        remedy: 'Classes are counted from 1; name targets that do not count with maskIndex.',
      })
}

/** A one in the channel that each class number names, zeros in the others. */
export const oneHotOperation = operation({
  name: 'oneHot',
  inputs: ['T'],
  outputs: ['Y'],
  options: { classes: 1 },
  rule({ T }, { classes }) {
    const channel = T.dims.indexOf('C')
    if (channel < 0 || T.size[channel] !== 1)
      throw new DimensionError({
        call: 'oneHot',
        expects: 'class numbers along dimensions other than C',
        got: describe(T),
        remedy: 'C must have one element.',
      })
    const size = T.size.map((extent, d) => (d === channel ? classes : extent))
    const inner = numel(T.size.slice(0, channel))
    return {
      outputs: [{ size, dims: T.dims, type: T.type === 'double' ? 'double' : 'single' }],
      plan: { inner, classes, outer: numel(T.size.slice(channel)) },
    }
  },
  saves: [],
  gradient: { T: null },
  kernels: {
    reference({ inputs: { T }, outputs: { Y }, plan: { inner, classes } }) {
      for (let i = 0; i < Y.length; i++) {
        const channel = Math.floor(i / inner) % classes
        const outer = Math.floor(i / (inner * classes))
        Y[i] = T[(i % inner) + inner * outer] === channel + 1 ? 1 : 0
      }
    },
    wasm({ inputs: { T }, outputs: { Y }, plan: { inner, classes, outer }, wasm }) {
      wasm.launch('oneHot', { indices: T, result: Y, inner, classes }, { items: classes * outer })
    },
  },
  samples: () => [
    { inputs: { T: { size: [1, 6], format: 'CB', values: (i) => 1 + (i % 4) } }, options: { classes: 4 } },
    { inputs: { T: { size: [3, 2, 1, 5], format: 'SSCB', values: (i) => 1 + (i % 3) } }, options: { classes: 3 } },
  ],
})
