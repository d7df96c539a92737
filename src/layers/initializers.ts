import * as v from 'valibot'
import type { DlArray } from '../array/dlarray.js'
import { describe, normalized, numel } from '../array/format.js'
import { OptionError } from '../errors.js'
import type { FlatData } from '../operations/arrays/array-data.js'
import { type ArrayData, dlarray } from '../operations/arrays/dlarray.js'
import type { RandomStream } from '../operations/arrays/random.js'
import { accepts, checkNumeric, type Place, type PropertyDefinition, settable, shown } from './property.js'

/** How weights can be initialized by name. */
export type WeightsInitializerName = 'glorot' | 'he' | 'orthogonal' | 'narrow-normal' | 'zeros' | 'ones'
/** How offsets, scales and biases can be initialized by name. */
export type VectorInitializerName = 'zeros' | 'ones' | 'narrow-normal'
/** Gives the initial values for a parameter of this size: an array of that size, or as many numbers, column-major. */
export type InitializerFunction = (size: number[]) => ArrayData | FlatData

/** Numbers that feed one output, and numbers one input feeds. */
export interface Fans {
  readonly fanIn: number
  readonly fanOut: number
}

const weightsNames = ['glorot', 'he', 'orthogonal', 'narrow-normal', 'zeros', 'ones'] as const
const vectorNames = ['zeros', 'ones', 'narrow-normal'] as const

/** Deviation of `'narrow-normal'`. */
const NARROW = 0.01

export function weightsInitializer(name: string): PropertyDefinition {
  return initializerProperty(name, weightsNames, 'glorot')
}

export function vectorInitializer(name: string, value: VectorInitializerName): PropertyDefinition {
  return initializerProperty(name, vectorNames, value)
}

function initializerProperty(name: string, names: readonly string[], value: string): PropertyDefinition {
  return settable(
    name,
    accepts(
      v.union([v.picklist(names), v.function()]),
      `${names.map((one) => `'${one}'`).join(', ')} or a function of the size`,
      `The default is '${value}'.`,
    ),
    value,
  )
}

/**
 * The first value of a parameter, in single precision, drawn column by column.
 *
 * | name | values |
 * | --- | --- |
 * | `'glorot'` | uniform between -b and b, b = sqrt(6 / (fanIn + fanOut)) (Glorot, Bengio, 2010) |
 * | `'he'` | normal, variance 2 / fanIn (He et al., 2015) |
 * | `'orthogonal'` | orthonormal columns (rows, when there are fewer rows) of a normal matrix (Saxe et al., 2013) |
 * | `'narrow-normal'` | normal, deviation 0.01 |
 * | `'zeros'`, `'ones'` | constants |
 * | a function | what it returns for the size |
 */
export function initialValue(
  initializer: unknown,
  size: readonly number[],
  fans: Fans | undefined,
  random: RandomStream,
  place: Place,
): DlArray {
  if (typeof initializer === 'function') return fromFunction(initializer as InitializerFunction, size, place)
  const elements = new Float64Array(numel(size))
  const fill = (draw: () => number) => {
    for (let i = 0; i < elements.length; i++) elements[i] = draw()
  }
  switch (initializer as WeightsInitializerName) {
    case 'zeros':
      break
    case 'ones':
      elements.fill(1)
      break
    case 'narrow-normal':
      fill(() => NARROW * random.normal())
      break
    case 'glorot': {
      const { fanIn, fanOut } = fans!
      const bound = Math.sqrt(6 / (fanIn + fanOut))
      fill(() => bound * (2 * random.uniform() - 1))
      break
    }
    case 'he': {
      const deviation = Math.sqrt(2 / fans!.fanIn)
      fill(() => deviation * random.normal())
      break
    }
    case 'orthogonal': {
      fill(() => random.normal())
      // Outputs are the last dimension of filters, and the first of a matrix: the matrix is numel / last by last.
      orthonormalize(elements, size.at(-1)!)
      break
    }
  }
  return parameter(elements, size, place)
}

/** A parameter whose elements are all the same. */
export function constantValue(value: number, size: readonly number[], place: Place): DlArray {
  return parameter(new Float64Array(numel(size)).fill(value), size, place)
}

function parameter(elements: Float64Array, size: readonly number[], place: Place): DlArray {
  const sized = dlarray(elements, normalized(size, '').size)
  const result = checkNumeric(sized, place) as DlArray
  sized.dispose()
  return result
}

function fromFunction(initializer: InitializerFunction, size: readonly number[], place: Place): DlArray {
  const returned = initializer([...size])
  const expected = normalized(size, '').size
  const value = arrayOf(returned, size, place)
  if (value && value.size.join() === expected.join()) return value
  throw new OptionError({
    call: place.call,
    expects: `a function for ${place.name} that returns an array of size ${expected.join('×')}`,
    got: value ? `one that returned ${describe(value)}` : `one that returned ${shown(returned)}`,
    remedy: 'It is called with the size; return a dlarray of that size, or as many numbers in a typed array.',
  })
}

/** What an initializer returned as a parameter; undefined when it is no array. */
function arrayOf(returned: unknown, size: readonly number[], place: Place): DlArray | undefined {
  if (ArrayBuffer.isView(returned) && (returned as Float32Array).length === numel(size))
    return parameter(Float64Array.from(returned as Float32Array), size, place)
  try {
    return checkNumeric(returned, place) as DlArray | undefined
  } catch (error) {
    if (error instanceof OptionError) return undefined
    throw error
  }
}

/**
 * Replaces a column-major matrix by the Q of its QR factorization with a positive diagonal in R, that is by its columns made
 * orthonormal one after the other; when there are more columns than rows, the rows are. Every column is projected twice,
 * which makes the result orthogonal to rounding. Source: Giraud, Langou, Rozložník, 2005.
 */
function orthonormalize(matrix: Float64Array, columns: number): void {
  const rows = matrix.length / columns
  const [count, length] = rows >= columns ? [columns, rows] : [rows, columns]
  const [across, along] = rows >= columns ? [rows, 1] : [1, rows]
  const dot = (a: number, b: number) => {
    let sum = 0
    for (let i = 0; i < length; i++) sum += matrix[a * across + i * along]! * matrix[b * across + i * along]!
    return sum
  }
  for (let j = 0; j < count; j++) {
    for (let pass = 0; pass < 2; pass++)
      for (let k = 0; k < j; k++) {
        const projection = dot(j, k)
        for (let i = 0; i < length; i++) matrix[j * across + i * along]! -= projection * matrix[k * across + i * along]!
      }
    const norm = Math.sqrt(dot(j, j))
    for (let i = 0; i < length; i++) matrix[j * across + i * along]! /= norm
  }
}
