import type { ArrayInfo, DlArray } from '../../array/dlarray.js'
import { numel } from '../../array/format.js'
import { asText, DimensionError, OptionError } from '../../errors.js'
import { type Operation, operation, type Sample } from '../operation.js'
import {
  defaultPooling,
  type PoolingGeometry,
  type PoolingOptions,
  poolingGeometry,
  type Window,
  windowsOf,
} from './pooling-geometry.js'
import { launchPooling } from './pooling-launch.js'

// Maximum and average pooling and their gradients. Each gradient is linear in what comes in, and its own gradient is the
// other way round: picking the winners from another array, or pooling it. So there are derivatives of every order.

const windowsPerPlane = ({ output }: PoolingGeometry) => numel(output)

/** Calls `visit(window, index of the plane's first element, index of its first window)` for every window of every plane. */
function eachWindow(
  geometry: PoolingGeometry,
  visit: (window: Window, firstElement: number, result: number) => void,
): void {
  const windows = windowsOf(geometry)
  for (let p = 0; p < geometry.planes; p++)
    for (const window of windows) visit(window, p * numel(geometry.image), p * windows.length + window.index)
}

const poolingSamples = (): Sample<'X', PoolingOptions>[] => [
  { inputs: { X: { size: [6, 4, 3, 2], format: 'SSCB' } }, options: { poolSize: 2, stride: 2 } },
  { inputs: { X: { size: [9, 7, 2, 1], format: 'SSCB' } }, options: { poolSize: [2, 2], stride: [2, 2] } },
  {
    inputs: { X: { size: [7, 8, 2], format: 'SSC' } },
    options: {
      poolSize: [3, 2],
      stride: [2, 1],
      padding: [
        [1, 0],
        [2, 1],
      ],
    },
  },
  { inputs: { X: { size: [11, 2, 2], format: 'SCB' } }, options: { poolSize: 4, stride: 3, padding: 'same' } },
  { inputs: { X: { size: [5, 4, 5, 2], format: 'SSSC' } }, options: { poolSize: 3, padding: 1 } },
  { inputs: { X: { size: [2, 2, 9], format: 'CBT' } }, options: { poolSize: 2, stride: 2 } },
  { inputs: { X: { size: [5, 2, 2, 6], format: 'SCBT' } }, options: { poolSize: [2, 3], poolFormat: 'ST' } },
  { inputs: { X: { size: [3, 4, 2, 2], format: 'SSCB' } }, options: { poolSize: 'global' } },
  { inputs: { X: { size: [5, 7, 2, 2], format: 'SSCB' } }, options: { poolSize: 'global' } },
]

/** What the second output and the gradients of a maximum need beside the windows. */
interface MaximumOptions extends PoolingOptions {
  /** Whether to write down which element won, for the gradient. */
  readonly winners: boolean
}

/**
 * The largest element of each window, and the winner's place in its window, counted in memory order from 0 with the
 * padding. The first of equal elements wins; a NaN wins over numbers, the last of several.
 */
export const maxpoolOperation: Operation<'X', never, 'Y' | 'offsets', MaximumOptions> = operation({
  name: 'maxpool',
  inputs: ['X'],
  outputs: ['Y', 'offsets'],
  options: { ...defaultPooling, winners: true } as MaximumOptions,
  rule({ X }, options) {
    const { geometry, size } = poolingGeometry(X, options, false, 'maxpool')
    const Y: ArrayInfo = { size, dims: X.dims, type: X.type }
    const offsets: ArrayInfo = { ...Y, type: X.type === 'logical' ? 'single' : X.type }
    return { outputs: options.winners ? [Y, offsets] : [Y], plan: geometry }
  },
  saves: ['offsets'],
  gradient: {
    X: ({ gradient, saved, inputs, plan }) =>
      maxpoolGradientOperation.run({ dY: gradient, offsets: saved.offsets }, { geometry: plan, X: inputs.X }),
  },
  kernels: {
    reference({ inputs: { X }, outputs: { Y, offsets }, plan }) {
      eachWindow(plan, ({ elements, places }, first, result) => {
        let best = Number.NEGATIVE_INFINITY
        let place = places[0] ?? 0
        elements.forEach((element, i) => {
          const value = X[first + element]!
          if (value > best || Number.isNaN(value)) {
            best = value
            place = places[i]!
          }
        })
        Y[result] = best
        if (offsets) offsets[result] = place
      })
    },
    wasm({ inputs: { X: x }, outputs: { Y: y, offsets }, plan, wasm }) {
      launchPooling(wasm, 'maximumPool', { x, y, offsets: offsets ?? 0 }, plan)
    },
  },
  samples: () => poolingSamples().map((sample) => ({ ...sample, options: { ...sample.options, winners: true } })),
})

/** Windows of an array X, known beforehand. */
interface KnownWindows {
  readonly geometry: PoolingGeometry
  /** Size, format and class of the pooled array. */
  readonly X: ArrayInfo
}

/** Two columns of four elements pooled to two by one, twice. */
const known: KnownWindows = {
  geometry: {
    image: [4, 2, 1],
    output: [2, 1, 1],
    pool: [2, 2, 1],
    stride: [2, 2, 1],
    before: [0, 0, 0],
    planes: 2,
    excludePadding: false,
  },
  X: { size: [4, 2, 2], dims: 'SSC', type: 'double' },
}
const places = { size: [2, 1, 2], format: 'SSC', values: (i: number) => (i * 3) % 4 }

/** dX = the sum of dY over all windows that an element won. */
export const maxpoolGradientOperation: Operation<'dY' | 'offsets', never, 'dX', KnownWindows> = operation({
  name: 'maxpoolGradient',
  inputs: ['dY', 'offsets'],
  outputs: ['dX'],
  options: known,
  rule: ({ dY }, { geometry, X }) => ({ outputs: [{ ...X, type: dY.type }], plan: geometry }),
  saves: ['offsets'],
  gradient: {
    dY: ({ gradient, saved, inputs, plan }) =>
      maxpoolGatherOperation.run({ X: gradient, offsets: saved.offsets }, { geometry: plan, X: inputs.dY }),
    offsets: null,
  },
  kernels: {
    reference({ inputs: { dY, offsets }, outputs: { dX }, plan }) {
      dX.fill(0)
      eachWindow(plan, ({ elements, places: all }, first, result) => {
        const element = elements[all.indexOf(offsets[result]!)]
        if (element !== undefined) dX[first + element]! += dY[result]!
      })
    },
    wasm({ inputs: { dY: dy, offsets }, outputs: { dX: dx }, plan, wasm }) {
      launchPooling(wasm, 'maximumPoolGradient', { dy, offsets, dx }, plan)
    },
  },
  samples: () => [{ inputs: { dY: { size: [2, 1, 2], format: 'SSC' }, offsets: places }, options: known }],
})

/** Y = X where the offsets say, one element for each window: the adjoint of {@link maxpoolGradientOperation}. */
export const maxpoolGatherOperation: Operation<'X' | 'offsets', never, 'Y', KnownWindows> = operation({
  name: 'maxpoolGather',
  inputs: ['X', 'offsets'],
  outputs: ['Y'],
  options: { ...known, X: { size: [2, 1, 2], dims: 'SSC', type: 'double' } } as KnownWindows,
  // the X of the options is what is produced
  rule: ({ X }, options) => ({ outputs: [{ ...options.X, type: X.type }], plan: options.geometry }),
  saves: ['offsets'],
  gradient: {
    X: ({ gradient, saved, inputs, plan }): DlArray =>
      maxpoolGradientOperation.run({ dY: gradient, offsets: saved.offsets }, { geometry: plan, X: inputs.X }),
    offsets: null,
  },
  kernels: {
    reference({ inputs: { X, offsets }, outputs: { Y }, plan }) {
      eachWindow(plan, ({ elements, places: all }, first, result) => {
        const element = elements[all.indexOf(offsets[result]!)]
        Y[result] = element === undefined ? 0 : X[first + element]!
      })
    },
    wasm({ inputs: { X: x, offsets }, outputs: { Y: y }, plan, wasm }) {
      launchPooling(wasm, 'maximumPoolGather', { x, offsets, y }, plan)
    },
  },
  samples: () => [{ inputs: { X: { size: [4, 2, 2], format: 'SSC' }, offsets: places } }],
})

interface AverageOptions extends PoolingOptions {
  /** 0: padding counts as zeros. `'mean'`: it does not count. */
  readonly paddingValue: 0 | 'mean'
}

/** The average of each window. */
export const avgpoolOperation: Operation<'X', never, 'Y', AverageOptions> = operation({
  name: 'avgpool',
  inputs: ['X'],
  outputs: ['Y'],
  options: { ...defaultPooling, paddingValue: 0 } as AverageOptions,
  rule({ X }, options) {
    if (options.paddingValue !== 0 && options.paddingValue !== 'mean')
      throw new OptionError({
        call: 'avgpool',
        expects: "the paddingValue 0 or 'mean'",
        got: asText(options.paddingValue),
        remedy: "Leave it out to count padding as zeros; 'mean' leaves padding out of the average.",
      })
    const { geometry, size } = poolingGeometry(X, options, options.paddingValue === 'mean', 'avgpool')
    return { outputs: [{ size, dims: X.dims, type: X.type === 'logical' ? 'single' : X.type }], plan: geometry }
  },
  saves: [],
  gradient: {
    X: ({ gradient, inputs, plan, options }) =>
      avgpoolGradientOperation.run({ dY: gradient }, { ...options, X: inputs.X, geometry: plan }),
  },
  kernels: {
    reference({ inputs: { X }, outputs: { Y }, plan }) {
      eachWindow(plan, ({ elements }, first, result) => {
        let total = 0
        for (const element of elements) total += X[first + element]!
        Y[result] = total / (plan.excludePadding ? elements.length : numel(plan.pool))
      })
    },
    wasm({ inputs: { X: x }, outputs: { Y: y }, plan, wasm }) {
      launchPooling(wasm, 'averagePool', { x, y }, plan)
    },
  },
  samples: () =>
    poolingSamples().flatMap((sample) =>
      ([0, 'mean'] as const).map((paddingValue) => ({ ...sample, options: { ...sample.options, paddingValue } })),
    ),
})

/** dX = the sum over all windows of an element of dY divided by their divisors: the adjoint of {@link avgpoolOperation}. */
export const avgpoolGradientOperation: Operation<'dY', never, 'dX', AverageOptions & KnownWindows> = operation({
  name: 'avgpoolGradient',
  inputs: ['dY'],
  outputs: ['dX'],
  options: { ...defaultPooling, poolSize: 2, stride: 2, paddingValue: 0, ...known } as AverageOptions & KnownWindows,
  rule({ dY }, { geometry, X }) {
    if (numel(dY.size) !== windowsPerPlane(geometry) * geometry.planes)
      throw new DimensionError({
        call: 'avgpoolGradient',
        expects: `${windowsPerPlane(geometry) * geometry.planes} elements, one for each window`,
        got: String(numel(dY.size)),
        remedy: 'Give a gradient of the size of the pooled array.',
      })
    return { outputs: [{ ...X, type: dY.type }], plan: geometry }
  },
  saves: [],
  gradient: {
    dY({ gradient, options }): DlArray {
      const { X, geometry, ...rest } = options
      return avgpoolOperation.run({ X: gradient }, rest)
    },
  },
  kernels: {
    reference({ inputs: { dY }, outputs: { dX }, plan }) {
      dX.fill(0)
      eachWindow(plan, ({ elements }, first, result) => {
        const share = dY[result]! / (plan.excludePadding ? elements.length : numel(plan.pool))
        for (const element of elements) dX[first + element]! += share
      })
    },
    wasm({ inputs: { dY: dy }, outputs: { dX: dx }, plan, wasm }) {
      launchPooling(wasm, 'averagePoolGradient', { dy, dx }, plan)
    },
  },
  samples: () => [{ inputs: { dY: { size: [2, 1, 2], format: 'SSC' } } }],
})
