import { type DlArray, isdlarray, type Nested, type UnderlyingType } from '../array/dlarray.js'
import { refuseRecording } from '../backends/current.js'
import { checkOptionNames, DimensionError, isObject, OptionError } from '../errors.js'
import { makeArray, scoped } from '../memory/scope.js'
import { type FlatData, unformatted } from './arrays/array-data.js'
import { label, stripdims } from './arrays/relabel.js'
import { allocate, type Operation } from './operation.js'

// What stands between the functions users call and operations: numbers as operands, and `dataFormat`; and functions of the user's.

/** Numbers that become an array of the other operands' class, without a format: one, nested lists of them, a typed array. */
export type Numbers = number | readonly Nested[] | FlatData

/** An array, or numbers. */
export type Operand = DlArray | Numbers

/** Labels for an unformatted first input, in its own order; the result is then unformatted, in that order. */
export interface DataFormatOption {
  readonly dataFormat?: string
}

/** Calls a function of the user's. It may do anything, so that what is being recorded meanwhile cannot run again. */
export function callUsers<R>(fn: () => R): R {
  refuseRecording()
  return fn()
}

/** A 1-by-1 array that holds `value`. */
export function scalar(value: number, type: UnderlyingType): DlArray<''> {
  const info = { size: [1, 1], type }
  const storage = allocate(info)
  storage.view()[0] = value
  return makeArray(storage, info.size, '', type)
}

/** The class that numbers take beside these operands; undefined when none of them is an array. */
function classBeside(operands: readonly unknown[]): UnderlyingType | undefined {
  const types = operands.filter(isdlarray).map((array) => array.underlyingType)
  return types.find((type) => type !== 'logical') ?? (types.length > 0 ? 'single' : undefined)
}

/** What is no array as one: numbers. `type` is that of the arrays beside it, undefined without any, where lists are none. */
function arrayOf(value: unknown, type: UnderlyingType | undefined, where: { call: string; path: string }): DlArray {
  if (typeof value === 'number') return scalar(value, type ?? 'single')
  if (type !== undefined && (Array.isArray(value) || ArrayBuffer.isView(value)))
    return unformatted(value as readonly Nested[] | FlatData, type, where)
  throw new DimensionError({
    call: where.call,
    expects: `a dlarray or a number for ${where.path}`,
    got: value === null ? 'null' : Array.isArray(value) ? 'a JavaScript array' : typeof value,
    remedy: 'Make an array with dlarray(values, format).',
  })
}

/** Two operands of which one is an array, the other, where it is a list or a typed array, made one. */
export function arrayBeside(operand: Operand, other: Operand, where: { call: string; path: string }): Operand {
  const isList = Array.isArray(operand) || ArrayBuffer.isView(operand)
  return isList ? arrayOf(operand, classBeside([other]), where) : operand
}

/** What users give an operation. */
type Operands<I extends string, Q extends I> = { readonly [K in Exclude<I, Q>]: Operand } & {
  readonly [K in Q]?: Operand | undefined
}

/**
 * Calls an operation as users do: numbers become arrays (lists of them beside an array), `dataFormat` labels an unformatted first input and brings the
 * result back to that order without labels.
 */
export function call<I extends string, Q extends I, U extends string, O extends object>(
  operation: Operation<I, Q, U, O>,
  operands: Operands<I, Q>,
  options: Partial<O> & DataFormatOption = {},
): DlArray {
  return called(operation, operands, options, (inputs, rest, restore) => restore(operation.run(inputs, rest)))
}

/** As {@link call}, with the outputs named besides the first, which are left as they are. */
export function callFor<I extends string, Q extends I, U extends string, O extends object, const N extends U>(
  operation: Operation<I, Q, U, O>,
  operands: Operands<I, Q>,
  options: Partial<O> & DataFormatOption,
  names: readonly N[],
): { readonly [K in N]: DlArray } {
  return called(operation, operands, options, (inputs, rest, restore) => {
    const outputs = operation.runAll(inputs, rest)
    return Object.fromEntries(
      names.map((name) => [name, name === operation.outputNames[0] ? restore(outputs[name]) : outputs[name]]),
    ) as { [K in N]: DlArray }
  })
}

function called<I extends string, Q extends I, U extends string, O extends object, R>(
  operation: Operation<I, Q, U, O>,
  operands: object,
  options: Partial<O> & DataFormatOption,
  run: (inputs: never, options: Partial<O>, restore: (result: DlArray) => DlArray) => R,
): R {
  if (!isObject(options) || Array.isArray(options))
    checkOptionNames(operation.name, options, Object.keys(operation.options))
  const given = operands as { readonly [name: string]: unknown }
  const type = classBeside(Object.values(given))
  const inputs: Record<string, DlArray> = {}
  // What is made here for this call alone goes with the scope; what the backward pass needs of it is held by the trace.
  return scoped(() => {
    for (const name of operation.inputNames) {
      const operand = given[name]
      if (operand === undefined && (operation.optionalInputs as readonly string[]).includes(name)) continue
      inputs[name] = isdlarray(operand) ? operand : arrayOf(operand, type, { call: operation.name, path: name })
    }
    const { dataFormat, ...rest } = options
    if (dataFormat === undefined) return run(inputs as never, rest as unknown as Partial<O>, (result) => result)
    const firstName = operation.inputNames[0]!
    const first = inputs[firstName]!
    if (first.dims !== '')
      throw new OptionError({
        call: operation.name,
        expects: 'dataFormat only with an unformatted array',
        got: `dataFormat '${dataFormat}' and an array labelled '${first.dims}'`,
        remedy: 'Leave dataFormat out, or strip the labels with stripdims.',
      })
    inputs[firstName] = label(first, dataFormat, operation.name)
    return run(inputs as never, rest as unknown as Partial<O>, (result) =>
      stripdims(result, orderLike(result.dims, dataFormat)),
    )
  })
}

/** The labels `dims` in the order in which `dataFormat` names them; labels it does not name follow. */
function orderLike(dims: string, dataFormat: string): string {
  const left = [...dims]
  const ordered: string[] = []
  for (const name of dataFormat) {
    const position = left.indexOf(name)
    if (position < 0) continue
    ordered.push(name)
    left.splice(position, 1)
  }
  return ordered.concat(left).join('')
}
