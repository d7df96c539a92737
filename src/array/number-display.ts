/**
 * Numbers as MATLAB prints them: `format short` for a page of values, and the two ways one number appears inside other
 * text (object displays, tables). Facts from MATLAB's pages "format" and "Display Format for Numeric Values".
 */

/** How every value of one page is printed: all cells have the same width, and share at most one scale factor. */
export interface NumberLayout {
  /** Characters of one cell, leading blanks included. */
  readonly width: number
  /** What stands above the page, such as `   1.0e+03 *`, where the values are divided by a common factor. */
  readonly factorLine?: string
  format(value: number): string
}

/** From this magnitude on whole numbers are no longer written out. */
const LARGEST_PLAIN_INTEGER = 1e9

/** `format short` writes values strictly between these magnitudes with four decimals and no factor. */
const SMALLEST_UNSCALED = 1e-3
const SMALLEST_SCALED_UP = 1e3

/** `[1 10 100]` has cells of 6 characters, `[1 10 1000]` of 12: no width in between occurs. */
const NARROW_INTEGER_WIDTH = 6
const WIDE_INTEGER_WIDTH = 12
const LARGEST_NARROW_INTEGER = 999
const DECIMAL_WIDTH = 10
const EXPONENT_WIDTH = 13
const LOGICAL_WIDTH = 4

/**
 * The layout of one page (a matrix) of values in `format short`.
 *
 * Whole numbers below 1e9 print as such. Otherwise there are four decimals, and where the largest magnitude is 1000 or
 * more, or 0.001 or less, a factor: 10^floor(log10(max)) for large values (so that the largest lies in 1 to 10), and
 * 10^ceil(log10(max)) for small ones (0.1 to 1). A single value has an exponent instead of a factor.
 */
export function shortLayout(values: readonly number[], isLogical = false): NumberLayout {
  if (isLogical) return layout(LOGICAL_WIDTH, (value) => (value === 0 ? '0' : '1'))
  let largest = 0
  let allWhole = true
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    largest = Math.max(largest, Math.abs(value))
    allWhole &&= Number.isInteger(value)
  }
  if (allWhole && largest < LARGEST_PLAIN_INTEGER) {
    const width = largest <= LARGEST_NARROW_INTEGER ? NARROW_INTEGER_WIDTH : WIDE_INTEGER_WIDTH
    return layout(width, (value) => String(value))
  }
  if (isUnscaled(largest)) return layout(DECIMAL_WIDTH, (value) => value.toFixed(4))
  if (values.length === 1) return layout(EXPONENT_WIDTH, exponential)
  const logarithm = Math.log10(largest)
  const exponent = largest >= 1 ? Math.floor(logarithm) : Math.ceil(logarithm)
  const factor = 10 ** exponent
  return layout(DECIMAL_WIDTH, (value) => (value / factor).toFixed(4), `   ${exponential(factor, 1)} *`)
}

function layout(width: number, digits: (value: number) => string, factorLine?: string): NumberLayout {
  return {
    width,
    factorLine,
    format: (value) =>
      (Number.isFinite(value) ? (value === 0 ? '0' : digits(value)) : nonFinite(value)).padStart(width),
  }
}

function isUnscaled(magnitude: number): boolean {
  return magnitude > SMALLEST_UNSCALED && Number(magnitude.toFixed(4)) < SMALLEST_SCALED_UP
}

function nonFinite(value: number): string {
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Inf' : '-Inf'
}

/** C's `%.{decimals}e`: JavaScript's `1e-5` has an exponent of one digit, C's and MATLAB's of at least two. */
function exponential(value: number, decimals = 4): string {
  return value.toExponential(decimals).replace(/e([+-])(\d)$/, 'e$10$2')
}

/** A value of an object display: a number, text, a list of either, a function, or nothing. */
export type DisplayValue =
  | number
  | boolean
  | string
  | null
  | undefined
  | readonly (number | boolean)[]
  | readonly string[]
  | readonly (readonly number[])[]
  | Float32Array
  | Float64Array
  // biome-ignore lint/complexity/noBannedTypes: any callable is shown by its name alone
  | Function

/** Longer rows are shown by their size, `[1×28 double]`. */
const LONGEST_SHOWN_ROW = 10

/**
 * One property value as MATLAB's object display shows it: `0.9000`, `1.0000e-05`, `30`, `'auto'`, `[2 2]`,
 * `{'in1'  'in2'}`, `[2×3 double]`, `[]`.
 */
export function formatShort(value: DisplayValue): string {
  if (value === null || value === undefined) return '[]'
  if (typeof value === 'number') return shortNumber(value)
  if (typeof value === 'boolean') return value ? '1' : '0'
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'function') return `@${value.name || '(...)'}`
  const list: readonly unknown[] = Array.from<unknown>(value)
  if (list.length === 0) return '[]'
  if (list.every((entry) => typeof entry === 'string')) return `{${list.map((entry) => `'${entry}'`).join('  ')}}`
  const first = list[0]
  if (Array.isArray(first)) return `[${list.length}×${first.length} double]`
  if (list.length > LONGEST_SHOWN_ROW)
    return `[1×${list.length} ${value instanceof Float32Array ? 'single' : 'double'}]`
  return `[${list.map((entry) => shortNumber(Number(entry))).join(' ')}]`
}

function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return nonFinite(value)
  const magnitude = Math.abs(value)
  if (Number.isInteger(value)) return magnitude < LARGEST_PLAIN_INTEGER ? String(value + 0) : exponential(value)
  return isUnscaled(magnitude) ? value.toFixed(4) : exponential(value)
}

/** Significant digits of a number in a table. */
const SHORT_G_DIGITS = 5

/** One number with five significant digits and no trailing zeros, as in MATLAB's tables (C's `%.5g`): `0.045`, `1e-05`. */
export function formatShortG(value: number): string {
  if (!Number.isFinite(value)) return nonFinite(value)
  if (value === 0) return '0'
  const [mantissa = '', exponentText = '0'] = value.toExponential(SHORT_G_DIGITS - 1).split('e')
  const exponent = Number(exponentText)
  if (exponent < -4 || exponent >= SHORT_G_DIGITS) {
    return `${withoutTrailingZeros(mantissa)}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  return withoutTrailingZeros(value.toFixed(SHORT_G_DIGITS - 1 - exponent))
}

function withoutTrailingZeros(digits: string): string {
  return digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits
}
