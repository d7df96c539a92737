import { checkFormat, normalized, storedOrder } from '../array/format.js'
import { asText, DimensionError } from '../errors.js'

/** Size and format of a network input, without data. Extents that are not known are NaN. */
export class NetworkDataLayout {
  /** Extents in the order of `format`; NaN where unknown. */
  readonly size: readonly number[]
  /** Labels in stored order, `''` without a format. */
  readonly format: string

  /** @internal Made by {@link networkDataLayout}. */
  constructor(size: readonly number[], format: string) {
    this.size = Object.freeze([...size])
    this.format = format
    Object.freeze(this)
  }

  /** The same as `format`, under the name that arrays have for it: `finddim(layout, 'C')` works. */
  get dims(): string {
    return this.format
  }
}

/**
 * Describes a network input by its size and format: `networkDataLayout([28, 28, 1, NaN], 'SSCB')`. NaN stands for an extent
 * that is not known, such as the number of observations. Labels are brought to the order S, C, B, T, U.
 *
 * Errors: a {@link DimensionError} for extents that are no whole numbers and for a format that does not fit.
 * Source: MATLAB, `networkDataLayout`.
 */
export function networkDataLayout(size: readonly number[], format = ''): NetworkDataLayout {
  const call = 'networkDataLayout'
  const isSize =
    Array.isArray(size) &&
    size.length >= (format === '' ? 2 : 1) &&
    size.every((extent) => Number.isNaN(extent) || (Number.isInteger(extent) && extent >= 0))
  if (!isSize || typeof format !== 'string')
    throw new DimensionError({
      call,
      expects: 'a size of at least two whole numbers, NaN where unknown, and a format',
      got: `${asText(size)} and ${asText(format)}`,
      remedy: "Write networkDataLayout([28, 28, 1, NaN], 'SSCB').",
    })
  if (format === '') return new NetworkDataLayout(normalized(size, '').size, '')
  checkFormat(format, call)
  if (format.length !== size.length)
    throw new DimensionError({
      call,
      expects: 'one label per dimension',
      got: `${format.length} labels in '${format}' for [${size.join(', ')}]`,
      remedy: 'Give as many extents as labels.',
    })
  const order = storedOrder(format)
  const whole = normalized(
    order.map((position) => size[position]!),
    order.map((position) => format[position]!).join(''),
  )
  return new NetworkDataLayout(whole.size, whole.dims)
}
