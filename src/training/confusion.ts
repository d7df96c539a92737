/** The confusion matrix of a classifier. Source: MATLAB page "confusionmat". */

import { Categorical } from '../data/categorical.js'
import { argumentError, DimensionError, isObject, OptionError } from '../errors.js'

/** A class name or number; NaN, null and undefined are observations without a label. */
export type Label = string | number | boolean | null | undefined

/** What {@link confusionmat} counts. */
export interface Confusion {
  readonly classNames: readonly string[]
  /** `counts[i][j]`: observations of class `i` that were predicted as class `j`. */
  readonly counts: readonly (readonly number[])[]
}

/**
 * Counts how often each true class (row) was predicted as each class (column).
 *
 * Labels are lists or what `categorical` and `scores2label` return. Classes are `classNames` in their order, or all labels that occur, sorted (numbers by value). Observations without a
 * true or a predicted label are left out. Throws a DimensionError for lists of different lengths and an OptionError for
 * a label that is not among `classNames`.
 */
export function confusionmat(
  trueLabels: ArrayLike<Label> | Categorical,
  predictedLabels: ArrayLike<Label> | Categorical,
  classNames?: readonly (string | number | boolean)[],
): Confusion {
  if (classNames !== undefined && !Array.isArray(classNames))
    throw argumentError(
      'confusionmat',
      'class names as a list',
      classNames,
      'Leave them out for all labels that occur.',
    )
  return count(listOf(trueLabels), listOf(predictedLabels), classNames)
}

function listOf(labels: ArrayLike<Label> | Categorical): ArrayLike<Label> {
  if (labels instanceof Categorical) return labels.toArray()
  if (Array.isArray(labels) || (ArrayBuffer.isView(labels) && 'length' in labels)) return labels
  throw argumentError(
    'confusionmat',
    'lists of true and of predicted labels',
    labels,
    "Write confusionmat(['a', 'b'], ['a', 'a']).",
  )
}

/** Throws an {@link OptionError} for what is no confusion matrix. */
export function checkConfusion(confusion: Confusion, call: string): Confusion {
  const { classNames, counts } = isObject(confusion) ? confusion : { classNames: undefined, counts: undefined }
  const isSquare = (rows: readonly unknown[], length: number) =>
    rows.length === length && rows.every((row) => Array.isArray(row) && row.length === length)
  if (Array.isArray(classNames) && Array.isArray(counts) && isSquare(counts, classNames.length)) return confusion
  throw argumentError(
    call,
    'a confusion matrix: classNames, and as many rows and columns of counts',
    confusion,
    'Give what confusionmat returns.',
  )
}

function count(
  trueLabels: ArrayLike<Label>,
  predictedLabels: ArrayLike<Label>,
  classNames: readonly (string | number | boolean)[] | undefined,
): Confusion {
  if (trueLabels.length !== predictedLabels.length) {
    throw new DimensionError({
      call: 'confusionmat',
      expects: 'as many predicted labels as true labels',
      got: `${trueLabels.length} true and ${predictedLabels.length} predicted labels`,
      remedy: 'Give both lists for the same observations in the same order.',
    })
  }
  const names = classNames?.map(String) ?? occurringClasses([trueLabels, predictedLabels])
  const positions = new Map(names.map((name, index) => [name, index]))
  if (positions.size !== names.length) {
    throw new OptionError({
      call: 'confusionmat',
      expects: 'class names that are all different',
      got: names.join(', '),
      remedy: 'Name each class once.',
    })
  }
  const counts = names.map(() => new Array<number>(names.length).fill(0))
  for (let index = 0; index < trueLabels.length; index++) {
    const truth = trueLabels[index]
    const prediction = predictedLabels[index]
    if (isMissing(truth) || isMissing(prediction)) continue
    counts[position(positions, truth)]![position(positions, prediction)]!++
  }
  return { classNames: names, counts }
}

function isMissing(label: Label): label is null | undefined {
  return label === null || label === undefined || Number.isNaN(label)
}

function occurringClasses(lists: readonly ArrayLike<Label>[]): string[] {
  const labels = new Map<string, Exclude<Label, null | undefined>>()
  for (const list of lists) {
    for (let index = 0; index < list.length; index++) {
      const label = list[index]
      if (!isMissing(label)) labels.set(String(label), label)
    }
  }
  const allNumbers = [...labels.values()].every((label) => typeof label === 'number')
  const names = [...labels.keys()]
  return allNumbers ? names.sort((a, b) => Number(a) - Number(b)) : names.sort()
}

function position(positions: ReadonlyMap<string, number>, label: Label): number {
  const found = positions.get(String(label))
  if (found !== undefined) return found
  throw new OptionError({
    call: 'confusionmat',
    expects: 'every label to be one of the class names',
    got: `label '${String(label)}' with the classes ${[...positions.keys()].join(', ')}`,
    remedy: 'Add it to the class names, or leave them out.',
  })
}

/** Correct predictions among all counted ones, in percent; NaN where nothing was counted. */
export function accuracyOf(confusion: Confusion): number {
  const { counts } = checkConfusion(confusion, 'accuracyOf')
  const all = counts.flat().reduce((sum, count) => sum + count, 0)
  const correct = counts.reduce((sum, row, index) => sum + row[index]!, 0)
  return (100 * correct) / all
}

/**
 * The matrix as text: a row for each true class, a column for each predicted class, and at the right how many percent
 * of the row were right. Zeros are dots, so that the mistakes stand out.
 */
export function displayConfusion(confusion: Confusion): string {
  const { classNames, counts } = checkConfusion(confusion, 'displayConfusion')
  const longestName = Math.max(0, ...classNames.map((name) => name.length))
  const longestCount = Math.max(1, ...counts.flat().map((count) => String(count).length))
  const width = Math.max(longestCount, longestName)
  const label = 'true'.padStart(Math.max('true'.length, longestName))
  const headings = classNames.map((name) => name.padStart(width)).join('  ')
  const lines = [
    `  ${' '.repeat(label.length)}   predicted`,
    `  ${label}   ${headings}  correct`,
    ...classNames.map((name, row) => {
      const cells = counts[row]!.map((count) => (count === 0 ? '·' : String(count)).padStart(width))
      const total = counts[row]!.reduce((sum, count) => sum + count, 0)
      const share = total === 0 ? '' : `${((100 * counts[row]![row]!) / total).toFixed(1)} %`
      return `  ${name.padStart(label.length)}   ${cells.join('  ')}  ${share.padStart('correct'.length)}`.trimEnd()
    }),
  ]
  return lines.join('\n')
}
