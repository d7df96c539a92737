import { type DlArray, isdlarray } from '../../array/dlarray.js'
import { describe, normalized, strides } from '../../array/format.js'
import { DimensionError } from '../../errors.js'
import { operation, type Sample } from '../operation.js'
import { copyRegion, launchCopy, merged, type StridedRegion } from './movement.js'
import { dimensionNamed } from './rearrangement.js'
import { select } from './selection.js'

interface Piece {
  readonly offset: number
  readonly region: StridedRegion
}

interface CatOptions {
  /** Zero-based. */
  readonly dimension: number
}

/** One operation for each number of arrays. */
const concatenations = new Map<number, ReturnType<typeof concatenation>>()

function concatenation(count: number) {
  const inputs = Array.from({ length: count }, (_, i) => `X${i + 1}`)
  return operation<string, 'Y', CatOptions, readonly Piece[], never>({
    name: 'cat',
    inputs,
    outputs: ['Y'],
    options: { dimension: 0 },
    rule(named, { dimension }) {
      const infos = inputs.map((input) => named[input]!)
      const first = infos[0]!
      const ndims = Math.max(dimension + 1, ...infos.map((info) => info.size.length))
      const total = infos.reduce((sum, info) => sum + (info.size[dimension] ?? 1), 0)
      const size = Array.from({ length: ndims }, (_, d) => (d === dimension ? total : (first.size[d] ?? 1)))
      const own = strides(size)
      let offset = 0
      const plan = infos.map((info) => {
        const extents = size.map((_, d) => info.size[d] ?? 1)
        const piece = { offset, region: merged({ size: extents, xSteps: strides(extents), ySteps: own }) }
        offset += own[dimension]! * extents[dimension]!
        return piece
      })
      const type = (['single', 'double'] as const).find((name) => infos.some((info) => info.type === name)) ?? 'logical'
      const dims = infos.find((info) => info.dims !== '')?.dims ?? ''
      return { outputs: [{ ...normalized(size, dims === '' ? '' : dims.padEnd(ndims, 'U')), type }], plan }
    },
    saves: [],
    gradient: Object.fromEntries(
      inputs.map((input, i) => [
        input,
        ({ gradient, options: { dimension }, inputs: infos }) => {
          const before = inputs.slice(0, i).reduce((sum, other) => sum + (infos[other]!.size[dimension] ?? 1), 0)
          const own = infos[input]!.size
          return select(
            gradient,
            Array.from({ length: Math.max(dimension + 1, gradient.ndims) }, (_, d) => {
              const start = d === dimension ? before : 0
              return Array.from({ length: own[d] ?? 1 }, (_, k) => start + k)
            }),
          )
        },
      ]),
    ),
    kernels: {
      reference(call) {
        call.plan.forEach(({ offset, region }, i) => {
          copyRegion(call.inputs[inputs[i]!]!, 0, call.outputs.Y, offset, region)
        })
      },
      wasm(call) {
        call.plan.forEach(({ offset, region }, i) => {
          launchCopy(call.wasm, call.inputs[inputs[i]!]!, call.outputs.Y + 4 * offset, region)
        })
      },
    },
    samples: (): readonly Sample<string, CatOptions>[] =>
      count === 2
        ? [
            { inputs: { X1: { size: [2, 3] }, X2: { size: [4, 3] } }, options: { dimension: 0 } },
            {
              inputs: { X1: { size: [3, 2, 4], format: 'SCB' }, X2: { size: [3, 1, 4], format: 'SCB' } },
              options: { dimension: 1 },
            },
            { inputs: { X1: { size: [3, 2] }, X2: { size: [3, 2] } }, options: { dimension: 3 } },
            { inputs: { X1: { size: [3, 0] }, X2: { size: [3, 2] } }, options: { dimension: 1 } },
          ]
        : [],
  })
}

/** Two arrays joined: the case that samples test. */
export const catOperation = concatenation(2)
concatenations.set(2, catOperation)

function concatenationOf(count: number): ReturnType<typeof concatenation> {
  const known = concatenations.get(count)
  if (known) return known
  const made = concatenation(count)
  concatenations.set(count, made)
  return made
}

/** The format of arrays joined: that of those which have one. */
type Joined<F extends string> = [F] extends [''] ? '' : Exclude<F, ''>

/**
 * Joins arrays along a dimension: a number counted from 1, or a label that occurs once. Formatted arrays must have equal
 * formats; with unformatted ones among them the result has the format of the others.
 *
 * Errors: a {@link DimensionError} when formats differ or other extents are not equal. Source: MATLAB, `cat`.
 */
export function cat<const A extends readonly DlArray[]>(
  dimension: number | string,
  ...arrays: A
): DlArray<Joined<A[number]['dims']>>
export function cat(dimension: number | string, ...arrays: readonly DlArray[]): DlArray {
  return join('cat', dimension, arrays)
}

/** Joins arrays side by side, along the second dimension; formats as in {@link cat}. Source: MATLAB, `horzcat`. */
export function horzcat<const A extends readonly DlArray[]>(...arrays: A): DlArray<Joined<A[number]['dims']>>
export function horzcat(...arrays: readonly DlArray[]): DlArray {
  return join('horzcat', 2, arrays)
}

/** Joins arrays one below the other, along the first dimension; formats as in {@link cat}. Source: MATLAB, `vertcat`. */
export function vertcat<const A extends readonly DlArray[]>(...arrays: A): DlArray<Joined<A[number]['dims']>>
export function vertcat(...arrays: readonly DlArray[]): DlArray {
  return join('vertcat', 1, arrays)
}

function join(call: string, dimension: number | string, arrays: readonly DlArray[]): DlArray {
  const stranger = arrays.findIndex((array) => !isdlarray(array))
  const first = arrays[0]
  if (!first || stranger >= 0)
    throw new DimensionError({
      call,
      expects: 'one array or more',
      got: first ? `${typeof arrays[stranger]} as number ${stranger + 1}` : 'none',
      remedy: 'Make arrays with dlarray(values, format).',
    })
  const formats = [...new Set(arrays.map((array) => array.dims).filter((format) => format !== ''))]
  if (formats.length > 1)
    throw new DimensionError({
      call,
      expects: 'arrays of one format',
      got: formats.map((format) => `'${format}'`).join(' and '),
      remedy: 'Give all arrays the same labels, or strip them with stripdims.',
    })
  const position = dimensionNamed({ size: first.size, dims: formats[0] ?? '' }, dimension, call)
  for (const array of arrays)
    for (let d = 0; d < Math.max(array.ndims, first.ndims); d++)
      if (d !== position && (array.size[d] ?? 1) !== (first.size[d] ?? 1))
        throw new DimensionError({
          call,
          expects: `equal extents in every dimension but ${position + 1}`,
          got: `${describe(first)} and ${describe(array)}`,
          remedy: `Dimension ${d + 1} differs: ${first.size[d] ?? 1} and ${array.size[d] ?? 1}.`,
        })
  const named = Object.fromEntries(arrays.map((array, i) => [`X${i + 1}`, array]))
  return concatenationOf(arrays.length).run(named, { dimension: position })
}
