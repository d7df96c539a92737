import { type DlArray, isdlarray, type UnderlyingType } from '../array/dlarray.js'
import { refuseRecording } from '../backends/current.js'
import { checkOptionNames, DimensionError, isObject, OptionError } from '../errors.js'
import { makeArray, scoped } from '../memory/scope.js'
import { label, stripdims } from './arrays/relabel.js'
import { allocate, type Operation } from './operation.js'

// What stands between the functions users call and operations: numbers as operands, and `dataFormat`; and functions of the user's.

/** An array, or a number that becomes a scalar of the other operands' class. */
export type Operand = DlArray | number

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

/** The class that numbers take beside these operands. */
function classBeside(operands: readonly unknown[]): UnderlyingType {
  for (const operand of operands)
    if (isdlarray(operand) && operand.underlyingType !== 'logical') return operand.underlyingType
  return 'single'
}

/** What users give an operation. */
type Operands<I extends string, Q extends I> = { readonly [K in Exclude<I, Q>]: Operand } & {
  readonly [K in Q]?: Operand | undefined
}

/**
 * Calls an operation as users do: numbers become scalars, `dataFormat` labels an unformatted first input and brings the
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
      if (typeof operand === 'number') inputs[name] = scalar(operand, type)
      else if (isdlarray(operand)) inputs[name] = operand
      else
        throw new DimensionError({
          call: operation.name,
          expects: `a dlarray or a number for ${name}`,
          got: operand === null ? 'null' : Array.isArray(operand) ? 'a JavaScript array' : typeof operand,
          remedy: 'Make an array with dlarray(values, format).',
        })
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
