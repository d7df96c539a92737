import { checkArray, type DlArray } from '../../array/dlarray.js'
import { describe, normalized, strides } from '../../array/format.js'
import { asText, DimensionError } from '../../errors.js'
import { operation } from '../operation.js'
import { copyRegion, launchCopy, merged } from './movement.js'

/** Y(i_order) = X(i): the dimensions of an array in another order (zero-based `order`). */
export const permuteOperation = operation({
  name: 'permute',
  inputs: ['X'],
  outputs: ['Y'],
  options: { order: [] as readonly number[] },
  rule({ X }, { order }) {
    const full = [...X.size, ...Array<number>(Math.max(0, order.length - X.size.length)).fill(1)]
    const from = strides(full)
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
      plan: merged({
        size: order.map((position) => full[position]!),
        xSteps: order.map((position) => from[position]!),
        ySteps: strides(order.map((position) => full[position]!)),
      }),
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
    reference({ inputs, outputs, plan }) {
      copyRegion(inputs.X, 0, outputs.Y, 0, plan)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      launchCopy(wasm, inputs.X, outputs.Y, plan)
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
  return permuted(X, order, 'permute')
}

function permuted<F extends string>(X: DlArray<F>, order: readonly number[], call: string): DlArray<F> {
  checkArray(X, call)
  if (!Array.isArray(order))
    throw new DimensionError({
      call,
      expects: 'a list of dimensions',
      got: asText(order),
      remedy: 'Write permute(X, [2, 1, 3]).',
    })
  const sorted = [...order].sort((a, b) => a - b)
  if (order.length < X.ndims || sorted.some((position, i) => position !== i + 1))
    throw new DimensionError({
      call,
      expects: `each of the dimensions 1 to ${Math.max(X.ndims, order.length)} once`,
      got: `[${order.join(', ')}] for ${describe(X)}`,
      remedy: 'Name every dimension once, counting from 1.',
    })
  if (X.dims !== '' && order.some((position, i) => (X.dims[position - 1] ?? 'U') !== (X.dims[i] ?? 'U')))
    throw new DimensionError({
      call,
      expects: `an order that keeps the labels '${X.dims}' in place`,
      got: `[${order.join(', ')}]`,
      remedy: 'Formatted arrays keep the order S, C, B, T, U: use stripdims first to move dimensions freely.',
    })
  return permuteOperation.run({ X }, { order: order.map((position) => position - 1) }) as DlArray<F>
}

/** The transpose of a matrix, unformatted or with two equal labels. Source: MATLAB, `transpose`. */
export function transpose<F extends string>(X: DlArray<F>): DlArray<F> {
  checkArray(X, 'transpose')
  if (X.ndims > 2)
    throw new DimensionError({
      call: 'transpose',
      expects: 'an array with two dimensions',
      got: describe(X),
      remedy: 'Use permute for arrays with more dimensions.',
    })
  return permuted(X, [2, 1], 'transpose')
}
