import { isdlarray } from '../array/dlarray.js'
import { OptionError, unknownOption } from '../errors.js'
import { shown } from './property.js'

/** What a layer function was called with: each argument once, under its name in camelCase. */
export type Given = Record<string, unknown>

/** The arguments that stand before the options; those after `required` may be left out. */
export interface Positional {
  readonly names: readonly string[]
  readonly required: number
}

/** `ScaleL2Factor` for `scaleL2Factor`: MATLAB's name of a property. */
export function matlabName(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1)
}

/**
 * Reads the arguments of a layer function: positional ones, then either one object of options or MATLAB's name-value pairs
 * with names in any case. Throws an {@link OptionError} for missing arguments, unknown names, names given twice and a name
 * without a value; the message lists the names there are.
 */
export function readArguments(
  call: string,
  given: readonly unknown[],
  positional: Positional,
  options: readonly string[],
): Given {
  const rest = [...given]
  const result: Given = {}
  const usage = `${call}(${[...positional.names.map((name, i) => (i < positional.required ? name : `${name}?`)), 'options?'].join(', ')})`
  positional.names.forEach((name, position) => {
    const next = rest[0]
    const isGiven =
      position < positional.required
        ? rest.length > 0 && !isOptions(next)
        : next !== undefined && !isOptions(next) && (typeof next !== 'string' || isOdd(rest))
    if (isGiven) result[name] = rest.shift()
    else if (position < positional.required)
      throw new OptionError({
        call,
        expects: `${name} as argument ${position + 1}`,
        got: rest.length === 0 ? ['none', 'only one', 'only two'][given.length]! : shown(next),
        remedy: `Call ${usage}.`,
      })
  })
  for (const [name, value] of entries(call, rest, options, usage)) {
    const key = options.find((option) => option.toLowerCase() === name.toLowerCase())
    if (key === undefined) throw unknownOption(call, name, options)
    if (key in result)
      throw new OptionError({
        call,
        expects: 'each option once',
        got: `${key} twice`,
        remedy: 'Keep the one that is meant.',
      })
    result[key] = value
  }
  return result
}

/** Options or pairs follow: an odd number of arguments before an object, or in all, leaves one that is no name. */
function isOdd(rest: readonly unknown[]): boolean {
  return (isOptions(rest.at(-1)) ? rest.length - 1 : rest.length) % 2 === 1
}

function isOptions(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value) &&
    !isdlarray(value)
  )
}

function entries(
  call: string,
  rest: readonly unknown[],
  options: readonly string[],
  usage: string,
): (readonly [string, unknown])[] {
  const [first] = rest
  if (rest.length === 0 || (rest.length === 1 && first === undefined)) return []
  if (rest.length === 1 && isOptions(first)) return Object.entries(first).filter(([, value]) => value !== undefined)
  const pairs: (readonly [string, unknown])[] = []
  for (let i = 0; i < rest.length; i += 2) {
    const name = rest[i]
    if (typeof name !== 'string')
      throw new OptionError({
        call,
        expects: 'options as one object, or as names each followed by its value',
        got: `${shown(name)} where a name belongs`,
        remedy: `Call ${usage}, or write pairs such as '${matlabName(options[0] ?? 'name')}', value.`,
      })
    if (i + 1 === rest.length)
      throw new OptionError({
        call,
        expects: 'a value after each name',
        got: `'${name}' without one`,
        remedy: `The names are ${options.join(', ')}.`,
      })
    pairs.push([name, rest[i + 1]])
  }
  return pairs
}
