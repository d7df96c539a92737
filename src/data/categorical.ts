/** Class labels: the names of categories, and for each element which of them it has. */

import { isdlarray } from '../array/dlarray.js'
import { numel } from '../array/format.js'
import { argumentError, DimensionError, OptionError } from '../errors.js'
import type { Label, LabelCodes, NumericData } from './minibatch.js'

/** Labels in any of the forms they come in: a list (a column), rows of a matrix, a typed array, values with a size. */
export type Labels =
  | readonly Label[]
  | readonly (readonly Label[])[]
  | Uint8Array
  | Exclude<NumericData, number | boolean>
  | { readonly values: readonly Label[]; readonly size: readonly number[] }
  | Categorical

/** Elements printed of a long list of labels. */
const SHOWN = 20

/** An array of class labels, made by {@link categorical}. */
export class Categorical implements LabelCodes {
  /** Names of the categories, in their order. */
  readonly categories: readonly string[]
  /** Position of each element's category, counted from 1; 0 where it has none. Column-major. */
  readonly codes: Uint16Array | Uint32Array
  readonly size: readonly number[]

  constructor(categories: readonly string[], codes: Uint16Array | Uint32Array, size: readonly number[]) {
    this.categories = Object.freeze([...categories])
    this.codes = codes
    this.size = size
  }

  get length(): number {
    return this.codes.length
  }

  /** The name of one element's category, counted from 0; undefined where it has none. */
  at(index: number): string | undefined {
    return this.categories[this.codes[index]! - 1]
  }

  /** Names of all elements, column-major. */
  toArray(): (string | undefined)[] {
    return Array.from(this.codes, (code) => this.categories[code - 1])
  }

  *[Symbol.iterator](): Iterator<string | undefined> {
    for (let index = 0; index < this.codes.length; index++) yield this.at(index)
  }

  /** Size and labels; long columns are cut. */
  toString(): string {
    const [rows = 0, columns = 1] = this.size
    const heading = `  ${this.size.join('×')} categorical array`
    const name = (index: number) => this.at(index) ?? '<undefined>'
    const width = Math.max(0, ...[...this.categories, '<undefined>'].map((each) => each.length)) + 6
    const shown = Math.min(rows, SHOWN)
    const lines = Array.from({ length: shown }, (_, row) =>
      Array.from({ length: Math.min(columns, SHOWN) }, (_, column) => `     ${name(row + column * rows)}`.padEnd(width))
        .join('')
        .trimEnd(),
    )
    if (rows > shown) lines.push(`     ... ${rows - shown} rows left out ...`)
    return [heading, '', ...lines].join('\n')
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/**
 * Makes class labels.
 *
 * Categories are the different values, sorted (numbers by value, text by character code), or `valueSet` in its order;
 * `categoryNames` renames them. Text loses blanks at its ends. Elements that are missing (NaN, null, undefined, `''`) or
 * not in `valueSet` have no category.
 *
 * Throws an {@link OptionError} for a value set with repetitions or names that do not match it, a {@link DimensionError} for
 * rows of different lengths. Source: MATLAB, `categorical`.
 */
export function categorical(
  values: Labels,
  valueSet?: readonly Label[],
  categoryNames?: readonly string[],
): Categorical {
  for (const list of [valueSet, categoryNames])
    if (list !== undefined && !Array.isArray(list))
      throw argumentError(
        'categorical',
        'the value set and the names of its categories as lists',
        list,
        "Write categorical([1, 2, 2], [1, 2], ['cat', 'dog']).",
      )
  const { elements, size } = flat(values)
  const keys = valueSet?.map(keyOf) ?? occurring(elements)
  const position = new Map<string | undefined, number>(keys.map((key, index) => [key, index + 1]))
  if (position.size !== keys.length || position.has(undefined))
    throw new OptionError({
      call: 'categorical',
      expects: 'a value set of different values, none of them missing',
      got: `[${keys.join(', ')}]`,
      remedy: 'Name each value once.',
    })
  const names = categoryNames ?? (keys as string[])
  if (names.length !== keys.length || new Set(names).size !== names.length)
    throw new OptionError({
      call: 'categorical',
      expects: `a different name for each of the ${keys.length} values`,
      got: `[${names.join(', ')}]`,
      remedy: 'Give as many names as values, each once.',
    })
  const codes = keys.length < 2 ** 16 ? new Uint16Array(elements.length) : new Uint32Array(elements.length)
  // Labels repeat: bytes need no text, other values are looked up once each.
  const known = new Map<Label, number>()
  for (let index = 0; index < elements.length; index++) {
    const value = elements[index] as Label
    let code = known.get(value)
    if (code === undefined) {
      const key = keyOf(value)
      code = key === undefined ? 0 : (position.get(key) ?? 0)
      known.set(value, code)
    }
    codes[index] = code
  }
  return new Categorical(names, codes, size)
}

/** Names of the categories, in their order. Source: MATLAB, `categories`. */
export function categories(labels: Labels | LabelCodes): string[] {
  return [...(isLabelCodes(labels) ? labels : categorical(labels)).categories]
}

export function isLabelCodes(value: unknown): value is LabelCodes {
  return typeof value === 'object' && value !== null && 'codes' in value && 'categories' in value
}

/** What a value is called; undefined for a missing one. */
function keyOf(value: Label): string | undefined {
  if (value === null || value === undefined || (typeof value === 'number' && Number.isNaN(value))) return undefined
  if (typeof value === 'string') return value.trim() === '' ? undefined : value.trim()
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new OptionError({
    call: 'categorical',
    expects: 'labels that are text, numbers, true or false',
    got: `a ${typeof value}`,
    remedy: 'Convert them to text first.',
  })
}

function occurring(elements: ArrayLike<Label>): string[] {
  const values = new Set<Label>()
  for (let index = 0; index < elements.length; index++) values.add(elements[index])
  const present = [...values].filter((value) => keyOf(value) !== undefined)
  if (present.every((value) => typeof value === 'number'))
    return (present as number[]).sort((a, b) => a - b).map((value) => keyOf(value)!)
  // UTF-16 code units, as MATLAB sorts: capital letters come first.
  return [...new Set(present.map((value) => keyOf(value)!))].sort()
}

function flat(values: Labels): { elements: ArrayLike<Label>; size: readonly number[] } {
  if (values instanceof Categorical) return { elements: values.toArray(), size: values.size }
  if (isdlarray(values)) return { elements: values.values(), size: values.size }
  if (ArrayBuffer.isView(values)) return { elements: values as Uint8Array, size: [values.length, 1] }
  if (Array.isArray(values))
    return values.some(Array.isArray) ? fromRows(values) : { elements: values, size: [values.length, 1] }
  if (typeof values === 'object' && values !== null && 'values' in values && 'size' in values) {
    if (values.values.length !== numel(values.size))
      throw new DimensionError({
        call: 'categorical',
        expects: `${numel(values.size)} values for size [${values.size.join(', ')}]`,
        got: String(values.values.length),
        remedy: 'Give as many values as the product of the size.',
      })
    return { elements: values.values as ArrayLike<Label>, size: values.size }
  }
  throw new OptionError({
    call: 'categorical',
    expects: 'a list of labels, rows of labels, a typed array or values with a size',
    got: values === null ? 'null' : typeof values,
    remedy: "Write categorical(['cat', 'dog', 'cat']).",
  })
}

function fromRows(rows: readonly unknown[]): { elements: Label[]; size: number[] } {
  const columns = Array.isArray(rows[0]) ? rows[0].length : -1
  for (const [index, row] of rows.entries())
    if (!Array.isArray(row) || row.length !== columns)
      throw new DimensionError({
        call: 'categorical',
        expects: `rows of ${columns} labels`,
        got: `row ${index + 1} with ${Array.isArray(row) ? row.length : 'something else'}`,
        remedy: 'Give every row the same number of labels.',
      })
  const matrix = rows as readonly (readonly Label[])[]
  const elements = Array.from({ length: columns * rows.length }, (_, index) => {
    return matrix[index % rows.length]![Math.floor(index / rows.length)]
  })
  return { elements, size: [rows.length, columns] }
}
