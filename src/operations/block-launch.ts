import { numel } from '../array/format.js'
import type { WasmBackend } from '../backends/wasm/backend.js'
import type { BlockInputs, BlockPlan } from './block-options.js'
import {
  directGradientCut,
  launchConvolve,
  launchConvolveTransposed,
  launchFilterGradient,
  withDirectConvolution,
  withDirectGradient,
} from './convolution-launch.js'

// Launches the kernels of kernels/block.ts.

/** Elements that a thread takes at once. */
const GRAIN = 16384
/** From so many observations on every thread has some of its own. */
const ENOUGH_OBSERVATIONS = 8
/** Bytes that kernels/block-convolution.ts finds in the working memory of a thread: for an observation's planes, and in all. */
const MOST_PLANES = 384 * 1024
const WORKING_MEMORY = 2 ** 21
/** What the gradient for filters needs of it besides. */
const GRADIENT_MEMORY = 2 ** 18 + 2 ** 16
const ACTIVATIONS = { none: 0, relu: 1, leakyrelu: 2 } as const
const POOLINGS = { max: 1, average: 2 } as const

/** The fields of a block's kernels that are no addresses. */
function described(plan: BlockPlan) {
  const geometry = plan.pooling?.geometry
  const image = geometry?.image ?? [plan.inner, 1, 1]
  const output = geometry?.output ?? image
  const pool = geometry?.pool ?? [1, 1, 1]
  const stride = geometry?.stride ?? [1, 1, 1]
  const before = geometry?.before ?? [0, 0, 0]
  return {
    x: 0,
    y: 0,
    dy: 0,
    dx: 0,
    scale: 0,
    offset: 0,
    statistics: 0,
    planeSums: 0,
    inner: plan.inner,
    channels: plan.channels,
    observations: plan.observations,
    outer: 1,
    groupChannels: 1,
    epsilon: plan.epsilon,
    normalized: plan.isNormalized ? 1 : 0,
    activation: ACTIVATIONS[plan.activation],
    leak: plan.leak,
    pooling: plan.pooling ? POOLINGS[plan.pooling.kind] : 0,
    height: image[0],
    width: image[1],
    depth: image[2],
    outHeight: output[0],
    outWidth: output[1],
    outDepth: output[2],
    poolHeight: pool[0],
    poolWidth: pool[1],
    poolDepth: pool[2],
    strideHeight: stride[0],
    strideWidth: stride[1],
    strideDepth: stride[2],
    paddingHeight: before[0],
    paddingWidth: before[1],
    paddingDepth: before[2],
    excludePadding: geometry?.excludePadding ? 1 : 0,
  }
}

/** Bytes of the planes of an observation. */
function planesBytes({ channels, inner }: BlockPlan): number {
  return 4 * channels * inner
}

function work({ channels, observations, inner }: BlockPlan) {
  return { items: channels * observations, grain: Math.max(1, Math.ceil(GRAIN / Math.max(inner, 1))) }
}

type InputAddresses = Required<BlockInputs<number>>

/** Y, what the backward pass reads of Z where it is kept, and statistics. Addresses in the heap; 0 is a missing input. */
export function launchBlock(
  wasm: WasmBackend,
  plan: BlockPlan,
  at: InputAddresses & { readonly Y: number; readonly Z: number; readonly statistics: number },
): void {
  const { scale, offset, statistics, Y: y } = at
  const tail = (x: number) =>
    wasm.launch('blockForward', { ...described(plan), x, y, scale, offset, statistics }, work(plan))
  const { convolution } = plan
  if (!convolution) {
    tail(at.X)
    return
  }
  const addresses = { X: at.X, weights: at.weights, bias: at.bias }
  const convolve = (Y: number) => {
    launchConvolve(wasm, convolution, { ...addresses, Y })
    tail(Y)
  }
  const unpooled = plan.pooling ? 0 : y
  const z = plan.keep ? at.Z : unpooled
  const byObservation =
    plan.observations >= ENOUGH_OBSERVATIONS &&
    (z !== 0 || planesBytes(plan) <= MOST_PLANES) &&
    withDirectConvolution(wasm, convolution, { ...addresses, Y: z }, (block, items) =>
      wasm.withBlock('blockForward', { ...described(plan), x: z, y, scale, offset, statistics }, (rest) =>
        wasm.launch(
          'blockConvolveForward',
          { convolution: block, tail: rest, items, kept: z === 0 ? 0 : 1 },
          { items: plan.observations },
        ),
      ),
    )
  if (byObservation) return
  if (z !== 0) convolve(z)
  else wasm.withTemporary(4 * numel(plan.Z.size), convolve)
}

/** The gradients asked for. Addresses in the heap. */
export function launchBlockGradient(
  wasm: WasmBackend,
  plan: BlockPlan & { readonly wanted: { readonly [K in keyof BlockInputs<unknown>]: boolean } },
  at: InputAddresses & { readonly dY: number; readonly Z: number; readonly statistics: number } & {
    readonly [K in 'dX' | 'dWeights' | 'dBias' | 'dOffset' | 'dScale']: number
  },
): void {
  const { convolution, wanted, channels, observations } = plan
  const { scale, offset, statistics, dY: dy } = at
  const planes = channels * observations
  wasm.withTemporary(Math.max(8 * planes, 8 * channels), (planeSums) => {
    const backward = { ...described(plan), dy, scale, offset, statistics, planeSums }
    const back = (x: number, dx: number) => wasm.launch('blockBackward', { ...backward, x, dx }, work(plan))
    if (!convolution) {
      if (wanted.X) back(at.X, at.dX)
      else wasm.withTemporary(4 * numel(plan.Z.size), (dx) => back(at.X, dx))
    } else {
      const cut = wanted.weights ? directGradientCut(convolution) : undefined
      const windows = plan.pooling ? numel(plan.pooling.geometry.output) : 0
      const room =
        4 * plan.inner + 8 * Math.max(plan.inner, windows) + GRADIENT_MEMORY + (wanted.X ? 0 : planesBytes(plan))
      const together = cut && cut.splits >= ENOUGH_OBSERVATIONS && room <= WORKING_MEMORY ? cut : undefined
      const lend = (use: (dZ: number) => void) =>
        together && !wanted.X ? use(0) : wasm.withTemporary(4 * numel(plan.Z.size), use)
      lend((dZ) => {
        const gradient = { X: at.X, dY: dZ, dWeights: at.dWeights }
        if (together)
          withDirectGradient(wasm, convolution, gradient, together, (block) =>
            wasm.withBlock('convolveFilterGradientDirect', block, (address) =>
              wasm.withBlock('blockBackward', { ...backward, x: at.Z, dx: dZ }, (rest) =>
                wasm.launch(
                  'blockConvolveBackward',
                  { convolution: address, tail: rest, items: 0, kept: dZ === 0 ? 0 : 1 },
                  { items: together.splits, grain: 1 },
                ),
              ),
            ),
          )
        else {
          back(at.Z, dZ)
          if (wanted.weights) launchFilterGradient(wasm, convolution, gradient)
        }
        if (wanted.X) launchConvolveTransposed(wasm, convolution, { X: dZ, weights: at.weights, bias: 0, Y: at.dX })
      })
    }
    const perChannel = (dscale: number, doffset: number) =>
      wasm.launch(
        'normalizeParameterGradient',
        { planeSums, dscale, doffset, channels, observations },
        { items: channels, grain: 64 },
      )
    // Where only one of two is asked for the other goes nowhere.
    wasm.withTemporary(8 * Math.max(channels, 1), (unused) => {
      const other = unused + 4 * channels
      if (plan.isNormalized) {
        if (wanted.offset || wanted.scale)
          perChannel(wanted.scale ? at.dScale : unused, wanted.offset ? at.dOffset : other)
        // What is added to a whole plane goes with its mean.
        if (at.bias && wanted.bias) wasm.launch('fill', { y: at.dBias, value: 0 }, { items: channels, grain: channels })
      } else if (at.bias && wanted.bias) perChannel(unused, at.dBias)
    })
  })
}
