import type { DlArray } from '../../array/dlarray.js'
import { normalized, numel, strides } from '../../array/format.js'
import { operation, type Sample } from '../operation.js'
import { copyRegion, launchCopy, merged, type StridedRegion } from './movement.js'

// Elements picked by their places, and put back there: strided copies, as few as the lists of indices allow.

/** One strided copy of a selection: where it begins in the whole and in the selection. */
interface Piece {
  readonly whole: number
  readonly selection: number
  readonly region: StridedRegion
}

/** `indices[d]` are zero-based indices along dimension d, a list for every dimension of X and perhaps more. */
interface SelectOptions {
  readonly indices: readonly (readonly number[])[]
}

/** Y(k1, k2, ...) = X(indices[0][k1], indices[1][k2], ...). */
export const selectOperation = operation({
  name: 'index',
  inputs: ['X'],
  outputs: ['Y'],
  options: { indices: [] } as SelectOptions,
  rule({ X }, { indices }) {
    const count = indices.map((list) => list.length)
    const dims = X.dims === '' ? '' : X.dims.padEnd(indices.length, 'U')
    return { outputs: [{ ...normalized(count, dims), type: X.type }], plan: { pieces: piecesOf(indices, X.size) } }
  },
  saves: [],
  gradient: {
    X: ({ gradient, options: { indices }, inputs: { X } }): DlArray =>
      placeOperation.run({ dY: gradient }, { indices, size: X.size, dims: X.dims }),
  },
  kernels: {
    reference({ inputs, outputs, plan }) {
      for (const { whole, selection, region } of plan.pieces) copyRegion(inputs.X, whole, outputs.Y, selection, region)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      for (const { whole, selection, region } of plan.pieces)
        launchCopy(wasm, inputs.X + 4 * whole, outputs.Y + 4 * selection, region)
    },
  },
  samples: (): readonly Sample<'X', SelectOptions>[] => [
    {
      inputs: { X: { size: [5, 7] } },
      options: {
        indices: [
          [1, 2, 3],
          [0, 2, 4, 6],
        ],
      },
    },
    {
      inputs: { X: { size: [6, 3, 4], format: 'SCB' } },
      options: {
        indices: [
          [5, 3, 1],
          [0, 1, 2],
          [1, 2],
        ],
      },
    },
    { inputs: { X: { size: [6, 3, 4], format: 'SCB' } }, options: { indices: [[0, 4, 5, 1, 1], [2, 0], [3]] } },
    {
      inputs: { X: { size: [3, 2] } },
      options: {
        indices: [
          [0, 1, 2],
          [0, 1],
          [0, 0, 0],
        ],
      },
    },
    { inputs: { X: { size: [4, 3] } }, options: { indices: [[], [0, 1, 2]] } },
  ],
})

interface PlaceOptions extends SelectOptions {
  readonly size: readonly number[]
  readonly dims: string
}

/** Zeros of `size`, dY added at its indices: the adjoint of a selection. */
export const placeOperation = operation({
  name: 'place',
  inputs: ['dY'],
  outputs: ['dX'],
  options: { indices: [], size: [], dims: '' } as PlaceOptions,
  rule({ dY }, { indices, size, dims }) {
    return {
      outputs: [{ size, dims, type: dY.type }],
      plan: {
        total: numel(size),
        pieces: piecesOf(indices, size).map((piece) => ({
          ...piece,
          region: { ...piece.region, xSteps: piece.region.ySteps, ySteps: piece.region.xSteps },
        })),
      },
    }
  },
  saves: [],
  gradient: {
    dY: ({ gradient, options: { indices } }): DlArray => selectOperation.run({ X: gradient }, { indices }),
  },
  kernels: {
    reference({ inputs: { dY }, outputs: { dX }, plan }) {
      dX.fill(0)
      for (const { whole, selection, region } of plan.pieces) copyRegion(dY, selection, dX, whole, region, true)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      wasm.launch('fill', { y: outputs.dX, value: 0 }, { items: plan.total, grain: 65536 })
      for (const { whole, selection, region } of plan.pieces)
        launchCopy(wasm, inputs.dY + 4 * selection, outputs.dX + 4 * whole, region, true)
    },
  },
  samples: (): readonly Sample<'dY', PlaceOptions>[] => [
    {
      inputs: { dY: { size: [3, 4] } },
      options: {
        indices: [
          [1, 2, 3],
          [0, 2, 4, 6],
        ],
        size: [5, 7],
      },
    },
    {
      inputs: { dY: { size: [5, 2, 1], format: 'SCB' } },
      options: { indices: [[0, 4, 5, 1, 1], [2, 0], [3]], size: [6, 3, 4], dims: 'SCB' },
    },
  ],
})

/** A selection from an array of `size` as strided copies: x is the whole, y the selection. */
function piecesOf(indices: readonly (readonly number[])[], size: readonly number[]): Piece[] {
  const count = indices.map((list) => list.length)
  if (count.includes(0)) return []
  const wholeStep = strides(indices.map((_, d) => size[d] ?? 1))
  const ownStep = strides(count)
  let pieces = [{ whole: 0, selection: 0, size: [] as number[], xSteps: [] as number[] }]
  indices.forEach((list, d) => {
    const runs = regularRuns(list)
    pieces = runs.flatMap(({ first, step, length, position }) =>
      pieces.map((piece) => ({
        whole: piece.whole + first * wholeStep[d]!,
        selection: piece.selection + position * ownStep[d]!,
        size: [...piece.size, length],
        xSteps: [...piece.xSteps, step * wholeStep[d]!],
      })),
    )
  })
  return pieces.map(({ whole, selection, size: extents, xSteps }) => ({
    whole,
    selection,
    region: merged({ size: extents, xSteps, ySteps: ownStep }),
  }))
}

interface Run {
  readonly first: number
  readonly step: number
  readonly length: number
  /** Where in the list it begins. */
  readonly position: number
}

/** A list cut into stretches of constant step other than 0: no index occurs twice in one. */
function regularRuns(list: readonly number[]): Run[] {
  const runs: Run[] = []
  let position = 0
  while (position < list.length) {
    const first = list[position]!
    const step = position + 1 < list.length ? list[position + 1]! - first : 0
    let length = 1
    if (step !== 0) while (list[position + length] === first + length * step) length++
    runs.push({ first, step: length > 1 ? step : 1, length, position })
    position += length
  }
  return runs
}

/** The elements at zero-based indices, a list per dimension. */
export function select(X: DlArray, indices: readonly (readonly number[])[]): DlArray {
  return selectOperation.run({ X }, { indices })
}
