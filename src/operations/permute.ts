import type { DlArray } from '../array/dlarray.js'
import { describe, normalized, strides } from '../array/format.js'
import { DimensionError } from '../errors.js'
import { operation } from './operation.js'

interface PermutePlan {
  /** Extents of the result, with neighbouring dimensions that stay together merged. */
  readonly size: readonly number[]
  /** For each dimension of the result, elements between neighbours in the input. */
  readonly strides: readonly number[]
}

/** Merges dimensions of the result that are neighbours in the input as well. */
function plan(size: readonly number[], order: readonly number[]): PermutePlan {
  const step = strides(size)
  const extents: number[] = []
  const steps: number[] = []
  for (const position of order) {
    const last = extents.length - 1
    if (size[position] === 1 && extents.length > 0) continue
    if (last >= 0 && steps[last]! * extents[last]! === step[position]) extents[last]! *= size[position]!
    else {
      extents.push(size[position]!)
      steps.push(step[position]!)
    }
  }
  return { size: extents, strides: steps }
}

/** Y(i_order) = X(i): the dimensions of an array in another order (zero-based `order`). */
export const permuteOperation = operation({
  name: 'permute',
  inputs: ['X'],
  outputs: ['Y'],
  options: { order: [] as readonly number[] },
  rule({ X }, { order }) {
    const full = [...X.size, ...Array<number>(Math.max(0, order.length - X.size.length)).fill(1)]
    const dims = X.dims === '' ? '' : order.map((position) => X.dims[position] ?? 'U').join('')
    return {
      outputs: [
        {
          ...normalized(
            order.map((position) => full[position]!),
            dims,
          ),
          type: X.type,
        },
      ],
      plan: plan(full, order),
    }
  },
  saves: [],
  gradient: {
    X: ({ gradient, options }): DlArray => {
      const inverse: number[] = []
      options.order.forEach((position, i) => {
        inverse[position] = i
      })
      return permuteOperation.run({ X: gradient }, { order: inverse })
    },
  },
  kernels: {
    reference({ inputs, outputs, plan: { size, strides: step } }) {
      const { X } = inputs
      const { Y } = outputs
      const index = size.map(() => 0)
      let from = 0
      for (let to = 0; to < Y.length; to++) {
        Y[to] = X[from]!
        for (let d = 0; d < size.length; d++) {
          from += step[d]!
          if (++index[d]! < size[d]!) break
          from -= step[d]! * size[d]!
          index[d] = 0
        }
      }
    },
    wasm: () => {
      throw new Error('permute')
    },
  },
  samples: () => [
    { inputs: { X: { size: [2, 3, 4] } }, options: { order: [2, 0, 1] } },
    { inputs: { X: { size: [5, 7] } }, options: { order: [1, 0] } },
    { inputs: { X: { size: [9, 1, 6, 5] } }, options: { order: [0, 3, 2, 1] } },
    { inputs: { X: { size: [4, 4, 3, 2, 2] } }, options: { order: [4, 1, 0, 3, 2] } },
    { inputs: { X: { size: [0, 3] } }, options: { order: [1, 0] } },
  ],
})

/**
 * Rearranges dimensions: dimension `k` of the result is dimension `order[k]` of `X`, counted from 1.
 *
 * A formatted array permits only orders among dimensions with equal labels, since its labels have a fixed order. Errors: a
 * {@link DimensionError} when `order` is no permutation or would move labels. Source: MATLAB, `permute`.
 */
export function permute<F extends string>(X: DlArray<F>, order: readonly number[]): DlArray<F> {
  const sorted = [...order].sort((a, b) => a - b)
  if (order.length < X.ndims || sorted.some((position, i) => position !== i + 1))
    throw new DimensionError({
      call: 'permute',
      expects: `each of the dimensions 1 to ${Math.max(X.ndims, order.length)} once`,
      got: `[${order.join(', ')}] for ${describe(X)}`,
      remedy: 'Name every dimension once, counting from 1.',
    })
  if (X.dims !== '' && order.some((position, i) => (X.dims[position - 1] ?? 'U') !== (X.dims[i] ?? 'U')))
    throw new DimensionError({
      call: 'permute',
      expects: `an order that keeps the labels '${X.dims}' in place`,
      got: `[${order.join(', ')}]`,
      remedy: 'Formatted arrays keep the order S, C, B, T, U: use stripdims first to move dimensions freely.',
    })
  return permuteOperation.run({ X }, { order: order.map((position) => position - 1) }) as DlArray<F>
}

/** The transpose of a matrix, unformatted or with two equal labels. Source: MATLAB, `transpose`. */
export function transpose<F extends string>(X: DlArray<F>): DlArray<F> {
  if (X.ndims > 2)
    throw new DimensionError({
      call: 'transpose',
      expects: 'an array with two dimensions',
      got: describe(X),
      remedy: 'Use permute for arrays with more dimensions.',
    })
  return permute(X, [2, 1])
}
