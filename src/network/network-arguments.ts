import { OptionError } from '../errors.js'

// Reading the arguments of a network's methods.

export function isOptions(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

export function isNameList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === 'string')
}

/** Throws an {@link OptionError} for an option that does not exist. */
export function checkOptions<T extends object>(
  call: string,
  given: Record<string, unknown>,
  names: readonly string[],
): T {
  for (const name of Object.keys(given))
    if (!names.includes(name))
      throw new OptionError({
        call,
        expects: `options among ${names.join(', ')}`,
        got: `'${name}'`,
        remedy: 'Check the spelling, or leave it out.',
      })
  return given as T
}

export type FactorArguments =
  | readonly [layer: string, parameter: string, factor: number]
  | readonly [path: string, factor: number]

/** The layer and parameter that `('fc', 'Weights')` or `('fc/Weights')` names. */
export function parameterPath(where: readonly unknown[], call: string): { layer: string; parameter: string } {
  const [first, second] = where
  if (where.length === 2 && typeof first === 'string' && typeof second === 'string')
    return { layer: first, parameter: second }
  const slash = typeof first === 'string' ? first.lastIndexOf('/') : -1
  if (where.length === 1 && typeof first === 'string' && slash > 0)
    return { layer: first.slice(0, slash), parameter: first.slice(slash + 1) }
  throw new OptionError({
    call,
    expects: "a layer and a parameter, or 'layer/parameter'",
    got: where.map((one) => (typeof one === 'string' ? `'${one}'` : typeof one)).join(', ') || 'nothing',
    remedy: `Write ${call}('fc', 'Weights'${call.startsWith('set') ? ', 2' : ''}).`,
  })
}
