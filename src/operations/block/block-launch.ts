import { numel } from '../../array/format.js'
import type { KernelBlock, WasmBackend } from '../../backends/wasm/backend.js'
import { chooseFilterGradient } from '../convolution/convolution-choice.js'
import {
  launchConvolve,
  launchConvolveTransposed,
  launchFilterGradient,
  withConvolutionByObservation,
  withFilterGradient,
} from '../convolution/convolution-launch.js'
import { launchMoments, launchNoMoments } from '../normalization/batch-moments-launch.js'
import type { PoolingGeometry } from '../pooling/pooling-geometry.js'
import { windowFields } from '../pooling/pooling-launch.js'
import type { BlockInputs, BlockParameter, BlockPlan } from './block-options.js'

// Launches the kernels of kernels/block/block.ts.

/** Elements that a thread takes at once. */
const GRAIN = 16384
/** From so many observations on every thread has some of its own. */
const ENOUGH_OBSERVATIONS = 8
/** Bytes that kernels/block/block-convolution.ts finds in the working memory of a thread: for an observation's planes, and in all. */
const MOST_PLANES = 384 * 1024
const WORKING_MEMORY = 2 ** 21
const NORMALIZATIONS = { none: 0, within: 1, across: 2, given: 2 } as const
/** Which convolution kernels/block/block-convolution.ts runs. */
const TRANSFORMS = {
  convolveDirect: 0,
  convolveLines: 1,
  convolveTiles: 2,
  convolveFilterGradientDirect: 0,
  convolveLinesGradient: 1,
  convolveTilesGradient: 2,
} as const
const ACTIVATIONS = { none: 0, relu: 1, leakyrelu: 2 } as const
const POOLINGS = { max: 1, average: 2 } as const

/** Windows of one element, for a block without pooling. */
function unpooled(inner: number): Omit<PoolingGeometry, 'planes'> {
  const image = [inner, 1, 1] as const
  return { image, output: image, pool: [1, 1, 1], stride: [1, 1, 1], before: [0, 0, 0], excludePadding: false }
}

/** The fields of a block's kernels that are no addresses. */
function described(plan: BlockPlan) {
  return {
    x: 0,
    y: 0,
    dy: 0,
    dx: 0,
    scale: 0,
    offset: 0,
    statistics: 0,
    planeSums: 0,
    partials: 0,
    mu: 0,
    sigmaSq: 0,
    datasetMu: 0,
    datasetSigmaSq: 0,
    dscale: 0,
    doffset: 0,
    biasSums: 0,
    inner: plan.inner,
    channels: plan.channels,
    observations: plan.observations,
    outer: 1,
    groupChannels: plan.groupChannels,
    epsilon: plan.epsilon,
    meanDecay: plan.meanDecay,
    varianceDecay: plan.varianceDecay,
    normalized: NORMALIZATIONS[plan.normalization],
    activation: ACTIVATIONS[plan.activation],
    leak: plan.leak,
    pooling: plan.pooling ? POOLINGS[plan.pooling.kind] : 0,
    ...windowFields(plan.pooling?.geometry ?? unpooled(plan.inner)),
  }
}

/** Bytes of the planes of an observation. */
function planesBytes({ channels, inner }: BlockPlan): number {
  return 4 * channels * inner
}

/** One group of channels at a time. */
function work({ channels, observations, inner, groupChannels }: BlockPlan) {
  return { items: (channels * observations) / groupChannels, grain: grainOf(inner * groupChannels) }
}

/** One plane at a time. */
function planeWork({ channels, observations, inner }: BlockPlan) {
  return { items: channels * observations, grain: grainOf(inner) }
}

function grainOf(elements: number): number {
  return Math.max(1, Math.ceil(GRAIN / Math.max(elements, 1)))
}

type InputAddresses = Required<BlockInputs<number>>

/**
 * Y, what the backward pass reads of Z where it is kept, statistics, and those of the batch where it is normalized by its own.
 * Addresses in the heap; 0 is a missing input.
 */
export function launchBlock(
  wasm: WasmBackend,
  plan: BlockPlan,
  at: InputAddresses & {
    readonly [K in 'Y' | 'Z' | 'statistics' | 'batchMu' | 'batchSigmaSq']: number
  },
): void {
  const { scale, offset, Y: y } = at
  const across = plan.normalization === 'across'
  const { channels, convolution } = plan
  if (across && plan.inner * plan.observations === 0) {
    const { statistics, batchMu: mu, batchSigmaSq: sigmaSq, mu: datasetMu, sigmaSq: datasetSigmaSq } = at
    launchNoMoments(wasm, { statistics, mu, sigmaSq, datasetMu, datasetSigmaSq }, plan)
    return
  }
  const withPartials = (use: (partials: number) => void) =>
    across ? wasm.withTemporary(16 * channels * plan.observations, use) : use(0)
  withStatistics(wasm, plan, at, (statistics) =>
    withPartials((partials) => {
      const moments = across && {
        mu: at.batchMu,
        sigmaSq: at.batchSigmaSq,
        datasetMu: at.mu,
        datasetSigmaSq: at.sigmaSq,
      }
      const forward = { ...described(plan), y, scale, offset, statistics, partials, ...moments }
      /** What is left when every plane of x is measured, or need not be. */
      const finish = (x: number) => {
        if (across) wasm.launch('blockJoin', forward, { items: channels, grain: 64 })
        wasm.launch('blockForward', { ...forward, x }, work(plan))
      }
      const tail = (x: number) => {
        if (across) wasm.launch('blockMeasure', { ...forward, x }, planeWork(plan))
        finish(x)
      }
      if (!convolution) {
        tail(at.X)
        return
      }
      const addresses = { X: at.X, weights: at.weights, bias: at.bias }
      const convolve = (Y: number) => {
        launchConvolve(wasm, convolution, { ...addresses, Y })
        tail(Y)
      }
      /** Convolution and tail observation by observation, where there are enough; `z` is 0 for the memory of a thread. */
      const byObservation = (z: number) =>
        plan.observations >= ENOUGH_OBSERVATIONS &&
        (z !== 0 || planesBytes(plan) <= MOST_PLANES) &&
        withConvolutionByObservation(wasm, convolution, { ...addresses, Y: z }, ({ kernel, address, items }) => {
          wasm.withBlock('blockForward', { ...forward, x: z }, (rest) =>
            wasm.launch(
              'blockConvolveForward',
              {
                convolution: address,
                tail: rest,
                items,
                kept: z === 0 ? 0 : 1,
                measured: across ? 1 : 0,
                transforms: TRANSFORMS[kernel],
              },
              { items: plan.observations },
            ),
          )
          if (across) finish(z)
        })
      const unpooled = plan.pooling ? 0 : y
      const z = plan.keep ? at.Z : unpooled
      if (z !== 0) {
        if (!byObservation(z)) convolve(z)
      } else if (across || !byObservation(0))
        wasm.withTemporary(4 * numel(plan.Z.size), (z) => {
          if (!across || !byObservation(z)) convolve(z)
        })
    }),
  )
}

/** Lends `use` the statistics of given mean and variance; calls it with those kept of others. */
function withStatistics(
  wasm: WasmBackend,
  { normalization, channels, epsilon }: BlockPlan,
  { statistics, mu, sigmaSq }: { readonly [K in 'statistics' | 'mu' | 'sigmaSq']: number },
  use: (statistics: number) => void,
): void {
  if (normalization !== 'given') use(statistics)
  else
    wasm.withTemporary(12 * channels, (own) => {
      launchMoments(wasm, 'batchStatistics', { statistics: own, mu, sigmaSq }, { channels, epsilon })
      use(own)
    })
}

/** The gradients asked for. Addresses in the heap. */
export function launchBlockGradient(
  wasm: WasmBackend,
  plan: BlockPlan & { readonly wanted: { readonly [K in BlockParameter | 'X']: boolean } },
  at: InputAddresses & { readonly dY: number; readonly Z: number; readonly statistics: number } & {
    readonly [K in 'dX' | 'dWeights' | 'dBias' | 'dOffset' | 'dScale']: number
  },
): void {
  const { convolution, normalization, wanted, channels, observations } = plan
  const { scale, offset, dY: dy } = at
  const planes = channels * observations
  const wantsBias = at.bias !== 0 && wanted.bias
  // Only where each plane is normalized by its own mean, or with its channel, what is added to all of it goes with the mean.
  const biasPasses = normalization === 'given' || plan.groupChannels > 1
  const sumsBytes = 8 * planes
  const bytes = 8 * channels + sumsBytes * (wantsBias && biasPasses ? 2 : 1)
  withStatistics(wasm, plan, at, (statistics) =>
    wasm.withTemporary(bytes, (unused) => {
      // Where only one of two is asked for the other goes nowhere.
      const other = unused + 4 * channels
      const planeSums = unused + 8 * channels
      const biasSums = wantsBias && biasPasses ? planeSums + sumsBytes : 0
      const perChannel = (sums: number, dscale: number, doffset: number) =>
        wasm.launch(
          'normalizeParameterGradient',
          { planeSums: sums, dscale, doffset, channels, observations },
          { items: channels, grain: 64 },
        )
      const dscale = wanted.scale ? at.dScale : unused
      const doffset = wanted.offset ? at.dOffset : other
      const across = normalization === 'across'
      const backward = {
        ...described(plan),
        dy,
        scale,
        offset,
        statistics,
        planeSums,
        biasSums,
        ...(across && { dscale, doffset }),
      }
      if (across) {
        wasm.launch('blockGradientSums', { ...backward, x: convolution ? at.Z : at.X }, planeWork(plan))
        perChannel(planeSums, dscale, doffset)
      }
      launchThroughTail(wasm, plan, at, backward)
      if (normalization === 'none') {
        if (wantsBias) perChannel(planeSums, unused, at.dBias)
        return
      }
      if (!across && (wanted.offset || wanted.scale)) perChannel(planeSums, dscale, doffset)
      if (biasSums) perChannel(biasSums, unused, at.dBias)
      else if (wantsBias) wasm.launch('fill', { y: at.dBias, value: 0 }, { items: channels, grain: channels })
    }),
  )
}

/** The gradients with respect to X and weights, and the sums of each plane. */
function launchThroughTail(
  wasm: WasmBackend,
  plan: Parameters<typeof launchBlockGradient>[1],
  at: Parameters<typeof launchBlockGradient>[2],
  backward: KernelBlock<'blockBackward'>,
): void {
  const { convolution, wanted } = plan
  const back = (x: number, dx: number) => wasm.launch('blockBackward', { ...backward, x, dx }, work(plan))
  if (!convolution) {
    if (wanted.X) back(at.X, at.dX)
    else wasm.withTemporary(4 * numel(plan.Z.size), (dx) => back(at.X, dx))
    return
  }
  const choice = wanted.weights ? chooseFilterGradient(convolution) : undefined
  const cut = choice && 'splits' in choice ? choice : undefined
  const windows = plan.pooling ? numel(plan.pooling.geometry.output) : 0
  const room =
    4 * plan.inner + 8 * Math.max(plan.inner, windows) + (cut?.memory ?? 0) + (wanted.X ? 0 : planesBytes(plan))
  const whole = cut && cut.splits >= ENOUGH_OBSERVATIONS && cut.splits <= convolution.observations
  const together = whole && room <= WORKING_MEMORY ? cut : undefined
  const lend = (use: (dZ: number) => void) =>
    together && !wanted.X ? use(0) : wasm.withTemporary(4 * numel(plan.Z.size), use)
  lend((dZ) => {
    const gradient = { X: at.X, dY: dZ, dWeights: at.dWeights }
    if (together)
      withFilterGradient(wasm, convolution, gradient, together, (sums) => {
        const transforms = TRANSFORMS[sums.kernel]
        const run = (address: number) =>
          wasm.withBlock('blockBackward', { ...backward, x: at.Z, dx: dZ }, (rest) =>
            wasm.launch(
              'blockConvolveBackward',
              { convolution: address, tail: rest, items: 0, kept: dZ === 0 ? 0 : 1, measured: 0, transforms },
              { items: together.splits, grain: 1 },
            ),
          )
        if (sums.kernel === 'convolveTilesGradient') wasm.withBlock(sums.kernel, sums.block, run)
        else if (sums.kernel === 'convolveLinesGradient') wasm.withBlock(sums.kernel, sums.block, run)
        else wasm.withBlock(sums.kernel, sums.block, run)
      })
    else {
      back(at.Z, dZ)
      if (wanted.weights) launchFilterGradient(wasm, convolution, gradient)
    }
    if (wanted.X) launchConvolveTransposed(wasm, convolution, { X: dZ, weights: at.weights, bias: 0, Y: at.dX })
  })
}
