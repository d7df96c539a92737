import type { DlArray, Nested, UnderlyingType } from '../../array/dlarray.js'
import { normalized, numel, strides } from '../../array/format.js'
import type { Elements } from '../../array/storage.js'
import { className, DimensionError, OptionError } from '../../errors.js'
import { makeArray } from '../../memory/scope.js'
import { allocate } from '../operation.js'

// Arrays of numbers as JavaScript holds them: typed arrays, lists, nested lists.

/** Flat elements that an array can be made of. */
export type FlatData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | readonly number[]

/** Where the numbers were given, for messages: the call, and the argument or the place in it. */
interface Where {
  readonly call: string
  readonly path?: string
}

const AT_DLARRAY: Where = { call: 'dlarray' }

/** The elements and size of flat numbers. Throws a {@link DimensionError} when the size does not fit, an {@link OptionError} for what are no numbers. */
export function fromFlat(data: FlatData, size: readonly number[] | undefined, where = AT_DLARRAY) {
  if (!ArrayBuffer.isView(data) && !Array.isArray(data)) throw notData(data, where)
  const isNumber = (value: unknown): boolean => typeof value === 'number' || typeof value === 'boolean'
  if (Array.isArray(data) && !data.every(isNumber))
    throw notData(
      data.find((value) => !isNumber(value)),
      where,
    )
  if (
    ArrayBuffer.isView(data) &&
    (data instanceof BigInt64Array || data instanceof BigUint64Array || data instanceof DataView)
  )
    throw notData(data, where)
  const extents = size ?? [data.length]
  if (numel(extents) !== data.length)
    throw new DimensionError({
      call: 'dlarray',
      expects: `${numel(extents)} elements for size [${extents.join(', ')}]`,
      got: `${data.length}`,
      remedy: 'Give as many elements as the product of the size.',
    })
  return { elements: data, size: extents }
}

/** The elements, column-major, and size of nested lists, which must have equal lengths. */
export function fromNested(data: Nested, where = AT_DLARRAY): { elements: Elements; size: number[] } {
  const size: number[] = []
  for (let level: unknown = data; Array.isArray(level) || ArrayBuffer.isView(level); level = (level as unknown[])[0]) {
    size.push((level as ArrayLike<unknown>).length)
    if ((level as ArrayLike<unknown>).length === 0) break
  }
  const elements = new Float64Array(numel(size))
  const step = strides(size)
  const fill = (value: unknown, depth: number, offset: number, path: string) => {
    const list =
      Array.isArray(value) || ArrayBuffer.isView(value) ? (value as unknown as ArrayLike<unknown>) : undefined
    if (depth === size.length) {
      if (list) throw ragged(where, path, 'a number', `a list of ${list.length}`)
      if (typeof value !== 'number' && typeof value !== 'boolean') throw notData(value, { ...where, path })
      elements[offset] = Number(value)
      return
    }
    if (!list || list.length !== size[depth])
      throw ragged(where, path, `a list of ${size[depth]}`, list ? `a list of ${list.length}` : `a ${typeof value}`)
    for (let i = 0; i < list.length; i++) fill(list[i], depth + 1, offset + i * step[depth]!, `${path}[${i}]`)
  }
  fill(data, 0, 0, where.path ?? 'values')
  return { elements, size }
}

function ragged({ call }: Where, path: string, expected: string, got: string): DimensionError {
  return new DimensionError({
    call,
    expects: `nested lists of equal lengths: ${expected} at ${path}`,
    got,
    remedy: 'Give every row the same number of elements.',
  })
}

function notData(value: unknown, { call, path = 'the data' }: Where): OptionError {
  return new OptionError({
    call,
    expects: `numbers, nested lists of numbers, a typed array or a DlArray at ${path}`,
    got:
      value === null
        ? 'null'
        : Array.isArray(value)
          ? 'a list'
          : typeof value === 'object'
            ? className(value)
            : typeof value,
    remedy: 'Convert the values to numbers first.',
  })
}

/** An array whose dimensions stand in stored order. */
export function build(data: FlatData | Elements, size: readonly number[], dims: string, type: UnderlyingType): DlArray {
  const info = { ...normalized(size, dims), type }
  const storage = allocate(info)
  const view = storage.view()
  if (type === 'logical') for (let i = 0; i < data.length; i++) view[i] = data[i] === 0 ? 0 : 1
  else view.set(data as ArrayLike<number>)
  return makeArray(storage, info.size, info.dims, type)
}

/** The array that `dlarray(data)` makes, without a format. */
export function unformatted(data: Nested | FlatData, type: UnderlyingType, where: Where): DlArray<''> {
  const { elements, size } = ArrayBuffer.isView(data) ? fromFlat(data, undefined, where) : fromNested(data, where)
  return build(elements, size, '', type) as DlArray<''>
}
