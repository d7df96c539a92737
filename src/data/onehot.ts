/** Class labels as numbers for networks, and scores of networks as labels. */

import { type DlArray, isdlarray, type Nested, type UnderlyingType } from '../array/dlarray.js'
import { describe, MOST_DIMENSIONS, numel } from '../array/format.js'
import { argumentError, asText, DimensionError, isObject, OptionError } from '../errors.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import { Categorical, categorical, isLabelCodes, type Labels } from './categorical.js'
import type { Label, LabelCodes, NumericData, SizedValues } from './minibatch.js'

/** Options of {@link onehotencode}. */
export interface OneHotOptions {
  /** Only these classes, in this order; an element that has none of them becomes NaN in all of them. */
  readonly classNames?: readonly Label[] | LabelCodes
}

/**
 * Encodes class labels as vectors with a one for the element's class, along a dimension (counted from 1) in which the
 * labels have one element: a row of N labels along dimension 1 gives K-by-N, a column along dimension 2 N-by-K.
 *
 * Classes are the categories of the labels, in their order, or `classNames`; numbers that are not `categorical` need
 * `classNames`. Without `classNames`, an element without a category is NaN throughout. The result is an unformatted array of
 * class `type` (default `'single'`).
 *
 * Throws a {@link DimensionError} where the dimension has more than one element, an {@link OptionError} for numbers without
 * class names and for `'logical'` where NaN would be needed. Source: MATLAB, `onehotencode`.
 */
export function onehotencode(A: Labels | LabelCodes, featureDim: number, options?: OneHotOptions): DlArray<''>
export function onehotencode(
  A: Labels | LabelCodes,
  featureDim: number,
  type: UnderlyingType,
  options?: OneHotOptions,
): DlArray<''>
export function onehotencode(
  A: Labels | LabelCodes,
  featureDim: number,
  name: 'ClassNames',
  classNames: readonly Label[] | LabelCodes,
): DlArray<''>
export function onehotencode(A: Labels | LabelCodes, featureDim: number, ...rest: readonly unknown[]): DlArray<''> {
  const { type, classNames } = oneHotArguments(rest)
  checkDimension(featureDim, 'onehotencode')
  const labels = labelsOf(A, classNames)
  const along = featureDim - 1
  const size = padded(labels.size, featureDim)
  if (size[along] !== 1)
    throw new DimensionError({
      call: 'onehotencode',
      expects: `one element along dimension ${featureDim}, where the classes go`,
      got: `${size[along]} (labels of size ${size.join('×')})`,
      remedy: 'Choose a dimension in which the labels have one element: 1 for a row, 2 for a column.',
    })
  const classes = labels.categories.length
  const inner = numel(size.slice(0, along))
  const result = new Float64Array(labels.codes.length * classes)
  for (let index = 0; index < labels.codes.length; index++) {
    const code = labels.codes[index]!
    const first = (index % inner) + Math.floor(index / inner) * inner * classes
    if (code > 0) result[first + (code - 1) * inner] = 1
    else {
      if (type === 'logical') throw noClass(index)
      for (let k = 0; k < classes; k++) result[first + k * inner] = Number.NaN
    }
  }
  size[along] = classes
  return dlarray(result, size, { type })
}

function oneHotArguments(rest: readonly unknown[]): {
  type: UnderlyingType
  classNames: readonly string[] | undefined
} {
  let type: UnderlyingType = 'single'
  const left = [...rest]
  if (left[0] === 'single' || left[0] === 'double' || left[0] === 'logical') type = left.shift() as UnderlyingType
  let classNames: unknown
  if (typeof left[0] === 'string' && left[0].toLowerCase() === 'classnames' && left.length === 2) classNames = left[1]
  else if (left.length === 1 && typeof left[0] === 'object' && left[0] !== null) {
    const { classNames: given, ...others } = left[0] as OneHotOptions
    const [unknown] = Object.keys(others)
    if (unknown !== undefined) throw badArguments(`the option '${unknown}'`)
    classNames = given
  } else if (left.length > 0 && left[0] !== undefined) throw badArguments(asText(left[0]))
  return { type, classNames: classNames === undefined ? undefined : namesOf(classNames, 'onehotencode') }
}

function badArguments(got: string): OptionError {
  return new OptionError({
    call: 'onehotencode',
    expects: "labels, a dimension, then the class 'single', 'double' or 'logical' and classNames",
    got,
    remedy: "Write onehotencode(labels, 1, 'single', { classNames: ['cat', 'dog'] }).",
  })
}

function noClass(index: number): OptionError {
  return new OptionError({
    call: 'onehotencode',
    expects: "'single' or 'double' where elements have none of the classes, which makes them NaN",
    got: `'logical' and element ${index + 1} without a class`,
    remedy: 'Leave the class out, or give class names for all elements.',
  })
}

/** Labels with the classes asked for. */
function labelsOf(A: Labels | LabelCodes, classNames: readonly string[] | undefined): LabelCodes {
  if (isLabelCodes(A)) {
    if (!classNames) return A
    const position = A.categories.map((name) => classNames.indexOf(name) + 1)
    return { categories: classNames, codes: Array.from(A.codes, (code) => position[code - 1] ?? 0), size: A.size }
  }
  if (!classNames && isNumeric(A))
    throw new OptionError({
      call: 'onehotencode',
      expects: 'classNames with labels that are numbers',
      got: 'numbers alone',
      remedy: 'Give { classNames: [0, 1, 2] }, or labels made by categorical.',
    })
  return categorical(A, classNames)
}

function isNumeric(A: Labels): boolean {
  if (isdlarray(A) || ArrayBuffer.isView(A)) return true
  // Not labels at all: categorical says so.
  if (!isObject(A)) return false
  const values: unknown = !Array.isArray(A) && 'values' in A ? A.values : A
  const first: unknown = Array.isArray(values) ? values.flat()[0] : (values as ArrayLike<unknown>)[0]
  return typeof first === 'number'
}

/** What `onehotdecode` returns, by the class asked for. */
interface Decoded {
  readonly categorical: Categorical
  readonly string: (string | undefined)[]
  readonly single: DlArray<''>
  readonly double: DlArray<''>
}

/**
 * The class with the largest value along a dimension (counted from 1): labels from one-hot vectors, probabilities or scores.
 * The first of equal values wins; where all are NaN there is no class.
 *
 * Returns `categorical` labels with the categories `classes`; `'string'` gives the names in column-major order, `'single'`
 * and `'double'` an array of the classes as numbers. Throws a {@link DimensionError} unless there are as many classes as
 * elements along the dimension. Source: MATLAB, `onehotdecode`.
 */
export function onehotdecode<const T extends keyof Decoded = 'categorical'>(
  B: NumericData,
  classes: readonly Label[] | LabelCodes,
  featureDim: number,
  type?: T,
): Decoded[T] {
  checkDimension(featureDim, 'onehotdecode')
  const labels = largest(sized(B, 'onehotdecode'), namesOf(classes, 'onehotdecode'), featureDim, 'onehotdecode')
  switch (type ?? 'categorical') {
    case 'categorical':
      return labels as Decoded[T]
    case 'string':
      return labels.toArray() as Decoded[T]
    case 'single':
    case 'double': {
      const numbers = labels.toArray().map((name) => (name === undefined ? Number.NaN : Number(name)))
      return dlarray(numbers, labels.size, { type: type as 'single' | 'double' }) as Decoded[T]
    }
    default:
      throw new OptionError({
        call: 'onehotdecode',
        expects: "'categorical', 'string', 'single' or 'double'",
        got: String(type),
        remedy: 'Leave it out for categorical labels.',
      })
  }
}

/**
 * Labels from a classifier's scores: for each observation the class with the largest score.
 *
 * Observations are the rows of an unformatted matrix, as `minibatchpredict` returns it; a formatted array is read along
 * its C dimension. Returns `categorical` labels with the categories `classNames`.
 *
 * Throws a {@link DimensionError} unless there are as many class names as scores for each observation.
 * Source: MATLAB, `scores2label`.
 */
export function scores2label(scores: NumericData, classNames: readonly Label[] | LabelCodes): Categorical {
  const names = namesOf(classNames, 'scores2label')
  if (isdlarray(scores) && scores.dims !== '') {
    const channel = scores.dims.indexOf('C')
    if (channel < 0)
      throw new DimensionError({
        call: 'scores2label',
        expects: 'scores with a channel dimension (C)',
        got: describe(scores),
        remedy: 'Label the dimension of the classes C.',
      })
    const { codes, categories, size } = largest(sized(scores, 'scores2label'), names, channel + 1, 'scores2label')
    // C x B scores give a column, one label for each observation.
    return new Categorical(categories, codes, channel === 0 && size.length === 2 ? [numel(size), 1] : size)
  }
  const values = sized(scores, 'scores2label')
  // Beyond a matrix, channels come second to last: H x W x C x N.
  return largest(values, names, Math.max(2, values.size.length - 1), 'scores2label')
}

function largest(B: SizedValues, classes: readonly string[], featureDim: number, call: string): Categorical {
  const along = featureDim - 1
  const size = padded(B.size, featureDim)
  const count = size[along]!
  if (count !== classes.length)
    throw new DimensionError({
      call,
      expects: `a class for each of the ${count} elements along dimension ${featureDim}`,
      got: `${classes.length} classes and an array of size ${size.join('×')}`,
      remedy: 'Give the class names in the order of the scores.',
    })
  size[along] = 1
  const inner = numel(size.slice(0, along))
  const elements = numel(size)
  const codes = classes.length < 2 ** 16 ? new Uint16Array(elements) : new Uint32Array(elements)
  for (let index = 0; index < elements; index++) {
    const first = (index % inner) + Math.floor(index / inner) * inner * count
    let best = Number.NEGATIVE_INFINITY
    for (let k = 0; k < count; k++) {
      const value = B.values[first + k * inner]!
      if (value > best || (value === best && codes[index] === 0)) {
        best = value
        codes[index] = k + 1
      }
    }
  }
  return new Categorical(classes, codes, size)
}

function sized(data: NumericData, call: string): SizedValues {
  if (isdlarray(data)) return { values: data.values(), size: data.size }
  if (typeof data === 'object' && data !== null && 'values' in data && 'size' in data) {
    if (numel(data.size) === data.values.length) return data
    throw new DimensionError({
      call,
      expects: `${numel(data.size)} values for size [${data.size.join(', ')}]`,
      got: String(data.values.length),
      remedy: 'Give as many values as the product of the size.',
    })
  }
  const array = dlarray(data as Nested, { type: 'double' })
  try {
    return { values: array.values(), size: array.size }
  } finally {
    array.dispose()
  }
}

function namesOf(classes: unknown, call: string): readonly string[] {
  const names = isLabelCodes(classes) ? classes.categories : Array.isArray(classes) ? classes.map(String) : undefined
  if (names && names.length > 0 && new Set(names).size === names.length) return names
  throw new OptionError({
    call,
    expects: 'a list of different class names',
    got: names ? `[${names.join(', ')}]` : typeof classes,
    remedy: 'Give the classes in the order of the scores, such as categories(T).',
  })
}

function checkDimension(dimension: unknown, call: string): void {
  if (!Number.isInteger(dimension) || (dimension as number) < 1 || (dimension as number) > MOST_DIMENSIONS)
    throw argumentError(call, 'a dimension counted from 1', dimension, 'Give 1 for rows of labels, 2 for columns.')
}

function padded(size: readonly number[], length: number): number[] {
  const result = [...size]
  while (result.length < length) result.push(1)
  return result
}
