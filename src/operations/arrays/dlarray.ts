import { checkArray, type DlArray, isdlarray, type Nested, type UnderlyingType } from '../../array/dlarray.js'
import { type Canonical, canonical, checkFormat, describe, positionsOf, type ValidFormat } from '../../array/format.js'
import { asText, checkOptionNames, DimensionError, isObject, OptionError } from '../../errors.js'
import { scoped } from '../../memory/scope.js'
import { build, type FlatData, fromFlat, fromNested } from './array-data.js'
import { cast } from './cast.js'
import { permuteOperation } from './permute.js'
import { label, relabelOperation, stripdims } from './relabel.js'

/** An image as a canvas gives it (`ImageData`): rows from the top, pixels from the left, four numbers for each pixel. */
export interface CanvasImage {
  readonly data: FlatData
  readonly width: number
  readonly height: number
}

/** Options of {@link dlarray}. */
export interface DlArrayOptions {
  /** Order of flat elements: `'column'` (default, first index fastest) or `'row'` (last index fastest). */
  readonly order?: 'column' | 'row'
  /** Class of the elements; default `'single'`, or that of a DlArray given. */
  readonly type?: UnderlyingType
}

/** What `dlarray` takes besides flat elements with a size. */
export type ArrayData = Nested | DlArray

/**
 * Makes a deep-learning array.
 *
 * | call | result |
 * | --- | --- |
 * | `dlarray(nested)` | unformatted; `nested[i][j]` becomes element (i+1, j+1), a number a 1-by-1 array, `[1, 2, 3]` a column |
 * | `dlarray(nested, format)` | formatted: one label per dimension, moved to the order S, C, B, T, U |
 * | `dlarray(flat, size, format?)` | from a typed array (or list of numbers) and a size; column-major unless `order: 'row'` |
 * | `dlarray(X, format?)` | from a DlArray; `format` replaces its format |
 * | `dlarray(image, format?)` | from the `ImageData` of a canvas: height × width × 4, `'SSC'`, numbers from 0 to 255 |
 *
 * The last argument may be options: `order` and `type` (`'single'` by default, `'double'`, `'logical'`). Extra labels make
 * singleton dimensions. A vector with one label is a column: `dlarray([1, 2], 'C')` has format `CU`.
 *
 * Errors: a {@link DimensionError} for ragged nesting, a size that does not fit, too few labels or labels that are none; an
 * {@link OptionError} for anything that is not data. Source: MATLAB, `dlarray`.
 */
export function dlarray<F extends string>(data: DlArray<F>, options?: DlArrayOptions): DlArray<F>
export function dlarray(data: Nested | FlatData | CanvasImage, options?: DlArrayOptions): DlArray<''>
export function dlarray(data: FlatData, size: readonly number[], options?: DlArrayOptions): DlArray<''>
export function dlarray<const F extends string>(
  data: FlatData,
  size: readonly number[],
  format: ValidFormat<F>,
  options?: DlArrayOptions,
): DlArray<Canonical<F>>
// Last, so that compilers show what it says about a format that is none.
export function dlarray<const F extends string>(
  data: ArrayData | FlatData | CanvasImage,
  format: ValidFormat<F>,
  options?: DlArrayOptions,
): DlArray<Canonical<F>>
export function dlarray(data: ArrayData | FlatData | CanvasImage, ...rest: unknown[]): DlArray {
  while (rest.length > 0 && rest.at(-1) === undefined) rest.pop()
  const options = checkOptions(isPlainObject(rest.at(-1)) ? (rest.pop() as DlArrayOptions) : {})
  const size = Array.isArray(rest[0]) ? checkSize(rest.shift() as number[]) : undefined
  const format = rest.shift()
  if (rest.length > 0 || (format !== undefined && typeof format !== 'string'))
    throw new OptionError({
      call: 'dlarray',
      expects: 'data, a size, a format and options, in this order',
      got:
        format === undefined || typeof format === 'string'
          ? `${kindOf(rest[0])} where the options belong`
          : `${kindOf(format)} where the format belongs`,
      remedy: "Write dlarray(values, [28, 28, 3], 'SSC', { type: 'single' }).",
    })
  if (format !== undefined) checkFormat(format, 'dlarray')
  if (isdlarray(data)) return fromArray(data, size, format, options)
  const isFlat = ArrayBuffer.isView(data) || size !== undefined
  if (!isFlat && options.order !== undefined)
    throw orderIgnored(isCanvasImage(data) ? 'an image, which has one' : 'nested lists, which are read by index')
  const type = options.type ?? 'single'
  if (!isFlat && isCanvasImage(data)) return fromImage(data, format, type)
  const made = isFlat ? fromFlat(data as FlatData, size) : fromNested(data as Nested)
  if (options.order === 'row') return fromRowMajor(made.elements, made.size, format, type)
  return format ? labelled(made.elements, made.size, format, type) : build(made.elements, made.size, '', type)
}

function isCanvasImage(data: unknown): data is CanvasImage {
  return typeof data === 'object' && data !== null && 'data' in data && 'width' in data && 'height' in data
}

function fromImage({ data, width, height }: CanvasImage, format: string | undefined, type: UnderlyingType): DlArray {
  const { elements, size } = fromFlat(data, checkSize([height, width, 4]))
  return fromRowMajor(elements, size, format, type)
}

/** What a misplaced argument is, for messages. */
function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (isdlarray(value)) return 'a dlarray'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function orderIgnored(got: string): OptionError {
  return new OptionError({
    call: 'dlarray',
    expects: 'the option order only with flat elements and their size',
    got: `it with ${got}`,
    remedy: 'Leave it out.',
  })
}

function checkOptions(options: DlArrayOptions): DlArrayOptions {
  checkOptionNames('dlarray', options, ['order', 'type'])
  for (const [key, value] of Object.entries(options)) {
    const accepted = key === 'order' ? ['column', 'row'] : ['single', 'double', 'logical']
    if (value !== undefined && !accepted.includes(value as string))
      throw new OptionError({
        call: 'dlarray',
        expects: `${key} among ${accepted.join(', ')}`,
        got: asText(value),
        remedy: 'Leave it out for the default.',
      })
  }
  return options
}

function checkSize(size: readonly unknown[]): number[] {
  if (size.some((extent) => !Number.isInteger(extent) || (extent as number) < 0))
    throw new DimensionError({
      call: 'dlarray',
      expects: 'a size of whole numbers, none negative',
      got: size.every((extent) => typeof extent === 'number') ? `[${size.join(', ')}]` : asText(size),
      remedy: 'Give the extent of each dimension, for instance [28, 28, 3].',
    })
  return size as number[]
}

function fromArray(
  data: DlArray,
  size: readonly number[] | undefined,
  format: string | undefined,
  { type, order }: DlArrayOptions,
): DlArray {
  if (size)
    throw new OptionError({
      call: 'dlarray',
      expects: 'a DlArray without a size',
      got: `[${size.join(', ')}] beside ${describe(data)}`,
      remedy: 'Use reshape(X, size).',
    })
  if (order !== undefined) throw orderIgnored('a DlArray')
  return scoped(() => {
    const X = cast(data, type ?? data.underlyingType)
    if (format === undefined) return X
    const plain = stripdims(X)
    if (format === '') return plain
    return withFormat(plain, format)
  })
}

/** An unformatted array with labels. */
function withFormat(X: DlArray, format: string): DlArray {
  const column = columnFor(X.size, format)
  return label(column ? relabelOperation.run({ X }, { size: column, dims: '' }) : X, format, 'dlarray')
}

/** With one label a vector becomes a column, whichever way it lies. */
function columnFor(size: readonly number[], format: string): number[] | undefined {
  return format.length === 1 && size.length === 2 && size[0] === 1 && size[1] !== 1 ? [size[1]!, 1] : undefined
}

/** Elements with the last index fastest: a column-major array of the reversed size, its dimensions turned round. */
function fromRowMajor(
  data: FlatData,
  size: readonly number[],
  format: string | undefined,
  type: UnderlyingType,
): DlArray {
  return scoped(() => {
    const turned = build(data, [...size].reverse(), '', type)
    const order = size.length > 1 ? size.map((_, d) => size.length - 1 - d) : [0, 1]
    const X = permuteOperation.run({ X: turned }, { order })
    return format ? withFormat(X, format) : X
  })
}

/** Formatted elements of an array whose dimensions stand in the order of `format`. */
function labelled(data: FlatData, size: readonly number[], format: string, type: UnderlyingType): DlArray {
  const inOrder = canonical(format) === format && format.length >= size.length
  const column = columnFor(size, format)
  if (inOrder) return build(data, column ?? size, format, type)
  return scoped(() => label(build(data, column ?? size, '', type), format, 'dlarray'))
}

function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

/** The format of an array, `''` without one. Source: MATLAB, `dims`. */
export function dims<F extends string>(X: DlArray<F>): F {
  checkArray(X, 'dims')
  return X.dims
}

/** The dimensions, counted from 1, that carry a label; empty when there is none. Source: MATLAB, `finddim`. */
export function finddim(X: { readonly dims: string }, name: string): number[] {
  if (!isObject(X) || typeof X.dims !== 'string') checkArray(X, 'finddim')
  checkFormat(name, 'finddim')
  return positionsOf(X.dims, name).map((position) => position + 1)
}

/** The elements in stored order, as a typed array with its own memory; not traced. Source: MATLAB, `extractdata`. */
export function extractdata(X: DlArray): Float32Array | Float64Array {
  checkArray(X, 'extractdata')
  return X.values()
}

/** `'single'`, `'double'` or `'logical'`. Source: MATLAB, `underlyingType`. */
export function underlyingType(X: DlArray): UnderlyingType {
  checkArray(X, 'underlyingType')
  return X.underlyingType
}
