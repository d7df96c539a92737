import { type DlArray, isdlarray } from '../array/dlarray.js'

/** A copy of a list, record or map, nested as it may be, in which every array is replaced; anything else stays. */
export function replaceArrays(value: unknown, replace: (array: DlArray) => DlArray): unknown {
  if (isdlarray(value)) return replace(value)
  if (Array.isArray(value))
    return like(
      value,
      value.map((item) => replaceArrays(item, replace)),
    )
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, replaceArrays(item, replace)]))
  if (isRecord(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaceArrays(item, replace)]))
  return value
}

/** Whether arrays are looked for in a value. */
export function isContainer(value: unknown): boolean {
  return isdlarray(value) || Array.isArray(value) || value instanceof Map || isRecord(value)
}

/** Whether it is an object without a class. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** A list that is copied and prints as a table does so again, with what it holds then. */
export const printing = Symbol('dlnet.printing')

/** `copy`, which prints as `list` does where that has a way of its own: `net.learnables` is a table. */
function like(list: readonly unknown[], copy: unknown[]): unknown[] {
  if (printing in list && typeof list[printing] === 'function') list[printing](copy)
  return copy
}
