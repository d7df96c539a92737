import * as v from 'valibot'
import { DlArray, isdlarray, type Nested } from '../array/dlarray.js'
import { describe, normalized } from '../array/format.js'
import { withoutRecording } from '../autodiff/record.js'
import { className, OptionError } from '../errors.js'
import { keep, makeArray, scope } from '../memory/scope.js'
import type { FlatData } from '../operations/arrays/array-data.js'
import { type ArrayData, dlarray } from '../operations/arrays/dlarray.js'
import { relabelOperation } from '../operations/arrays/relabel.js'

// Properties of layers: what each accepts, and the words when it gets something else. Schemas are internal: compilers of users'
// programs would read all of the schema library's types for the sake of one of them.

/** Where a value is given: the call for the message, and the property or argument. */
export interface Place {
  readonly call: string
  readonly name: string
}

/** Gives the value in the form a layer keeps it, or throws an {@link OptionError}. */
export type Check = (value: unknown, place: Place) => unknown

/** One property of a layer kind. */
export interface PropertyDefinition {
  readonly name: string
  /** The value of a layer made without it. */
  readonly default?: unknown
  readonly check: Check
  /**
   * `settable`: may be given and assigned; `fixed`: may be given when the layer is made, then read-only; `derived`: read-only,
   * follows from other arguments or from the input.
   */
  readonly access: 'settable' | 'fixed' | 'derived'
  /** True for what users do not see. */
  readonly hidden?: boolean
}

/** An argument that is not a property itself but decides some: `padding`. */
export interface ArgumentDefinition {
  readonly name: string
  readonly apply: (value: unknown, given: Readonly<Record<string, unknown>>, place: Place) => Record<string, unknown>
}

/** Options in MATLAB's form: names in any case, each followed by its value. */
export type NameValuePairs = readonly [name: string, value: unknown, ...more: unknown[]]

export function optionError(place: Place, expects: string, got: unknown, remedy: string): OptionError {
  return new OptionError({ call: place.call, expects: `${expects} for ${place.name}`, got: shown(got), remedy })
}

/** A value in a message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'function') return 'a function'
  if (value === null || typeof value !== 'object') return String(value)
  if (isdlarray(value)) return `a dlarray of ${describe(value)}`
  if (Array.isArray(value)) {
    const text = `[${value.map(shown).join(', ')}]`
    return text.length <= 80 ? text : `a list of ${value.length}`
  }
  const name = className(value)
  if (name === 'Object') return 'an object'
  return ArrayBuffer.isView(value) ? `a ${name} of ${(value as Uint8Array).length}` : `an object of class ${name}`
}

/** @internal A check by a schema; `expects` and `remedy` are the words for what the schema says. */
export function accepts<S extends v.GenericSchema>(schema: S, expects: string, remedy: string): Check {
  return (value, place) => {
    const result = v.safeParse(schema, value)
    if (result.success) return result.output
    throw optionError(place, expects, value, remedy)
  }
}

/** @internal */
export const positiveInteger = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
/** @internal */
export const nonnegativeInteger = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

export function settable(name: string, check: Check, value?: unknown): PropertyDefinition {
  return { name, check, default: value, access: 'settable' }
}

export function fixed(name: string, check: Check, value?: unknown): PropertyDefinition {
  return { name, check, default: value, access: 'fixed' }
}

export function derived(name: string, check: Check, value?: unknown): PropertyDefinition {
  return { name, check, default: value, access: 'derived' }
}

/** `'auto'` until the size of the input is known, or a number given. */
export function autoCount(name: string, what: string): PropertyDefinition {
  return fixed(
    name,
    accepts(
      v.union([v.literal('auto'), positiveInteger]),
      "'auto' or a positive whole number",
      `It is the number of ${what}; with 'auto' it is taken from the input.`,
    ),
    'auto',
  )
}

/** Learn-rate and L2 factors: they multiply the training's own. */
export function factor(name: string, value = 1): PropertyDefinition {
  const remedy = name.endsWith('LearnRateFactor')
    ? 'It multiplies the learn rate; 0 freezes the parameter.'
    : 'It multiplies the L2 regularization; 0 turns it off.'
  return settable(
    name,
    accepts(v.pipe(v.number(), v.finite(), v.minValue(0)), 'a finite number of 0 or more', remedy),
    value,
  )
}

/** A numeric property that is empty or an array. */
export function numeric(name: string): PropertyDefinition {
  return settable(name, checkNumeric)
}

export const checkNumeric: Check = (value, place) => {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return undefined
  try {
    return heldParameter(value)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    throw new OptionError(
      {
        call: place.call,
        expects: `numbers (nested lists, a typed array or a dlarray) for ${place.name}`,
        got: shown(value),
        remedy: 'Leave it out, or give [], to have it initialized.',
      },
      { cause: error },
    )
  }
}

/** Elements without labels that no scope frees; single, or double when a double array is given. */
function heldParameter(value: unknown): DlArray {
  return withoutRecording(() =>
    keep(
      scope(() => {
        const given = isdlarray(value) ? value : dlarray(value as Nested | FlatData)
        const X = given.underlyingType === 'logical' ? dlarray(given, { type: 'single' }) : given
        return relabelOperation.run({ X }, { size: X.size, dims: '' })
      }),
    ),
  )
}

/** Another handle on an array's memory under this size, that no scope frees. */
export function held(array: DlArray, size: readonly number[] = array.size): DlArray {
  return keep(makeArray(array.storage, normalized(size, '').size, '', array.underlyingType))
}

/** True for a value that a layer keeps as an array. */
export function isArrayValue(value: unknown): value is DlArray {
  return value instanceof DlArray
}

/** What numeric properties take: nested lists, a typed array, a dlarray; `[]` empties them. */
export type NumericInput = ArrayData | FlatData
