import type { WasmBackend } from '../../backends/wasm/backend.js'
import { loopNest } from '../arrays/expansion.js'
import { launchCopy } from '../arrays/movement.js'
import { type BinaryFunction, launchBinary } from '../elementwise/binary.js'
import { launchReduction, reductionPlan } from '../reductions/reduction.js'
import {
  type Grouping,
  launchNormalization,
  launchNormalizationApply,
  launchNormalizationGradient,
  type NormalizationAddresses,
  type NormalizationGradientAddresses,
} from './normalization.js'

// How normalizations of every kind of group run on the kernels of normalization.ts.

export interface NormalizationPlan extends Grouping {
  /**
   * Positions of an observation that are normalized each on its own, 1 where they are not. They lie before the channels in
   * memory; `inner` and `outer` are then 1, and `observations` counts them, positions first.
   */
  readonly positions: number
}

/**
 * Runs of fewer elements than this are too short to be scaled one by one: a group is normalized as one plane, then scaled; and
 * with given statistics, where that is all there is to do, all elements go through element-wise arithmetic.
 */
const SHORT_RUN = { measured: 16, given: 64 }

/** The plan with each group as one channel. */
function groupsAsPlanes(plan: NormalizationPlan): Grouping {
  const { inner, channels, groupChannels } = plan
  return { ...plan, inner: inner * groupChannels, channels: channels / groupChannels, groupChannels: 1 }
}

const elements = ({ inner, channels, observations, outer }: Grouping) => inner * channels * observations * outer

/** y = f(x, the parameter of its channel). For the elements of a run the parameter is repeated first: that makes long loops. */
function launchPerChannel(
  wasm: WasmBackend,
  kernel: BinaryFunction,
  at: { readonly x: number; readonly parameter: number; readonly y: number },
  { inner, channels, observations, outer }: Grouping,
): void {
  const size = [inner * channels, observations * outer]
  const nest = loopNest(size, [size, [inner * channels, 1]])
  if (inner === 1) {
    launchBinary(wasm, kernel, at.x, at.parameter, at.y, nest)
    return
  }
  wasm.withTemporary(4 * inner * channels, (repeated) => {
    launchCopy(wasm, at.parameter, repeated, { size: [inner, channels], xSteps: [0, 1], ySteps: [1, inner] })
    launchBinary(wasm, kernel, at.x, repeated, at.y, nest)
  })
}

/** To `y` from `x`: channels in front of positions, or back behind them. */
function launchTurn(wasm: WasmBackend, x: number, y: number, plan: NormalizationPlan, to: 'front' | 'back'): void {
  const { channels, observations, positions } = plan
  const [first, second] = to === 'front' ? [channels, positions] : [positions, channels]
  launchCopy(wasm, x, y, {
    size: [first, second, observations / positions],
    xSteps: [second, 1, first * second],
    ySteps: [1, first, first * second],
  })
}

/** y = scale * (x - mean) / sqrt(variance + epsilon) + offset for every group; writes its statistics. Addresses in the heap. */
export function launchGrouped(wasm: WasmBackend, at: NormalizationAddresses, plan: NormalizationPlan): void {
  if (plan.observations === 0) return
  if (plan.positions > 1) {
    wasm.withTemporary(4 * elements(plan), (turned) => {
      launchTurn(wasm, at.x, turned, plan, 'front')
      launchGrouped(wasm, { ...at, x: turned, y: turned }, { ...plan, positions: 1 })
      launchTurn(wasm, turned, at.y, plan, 'back')
    })
    return
  }
  if (plan.groupChannels === 1 || plan.inner >= SHORT_RUN.measured) {
    launchNormalization(wasm, at, plan)
    return
  }
  launchNormalization(wasm, { ...at, scale: 0, offset: 0 }, groupsAsPlanes(plan))
  launchPerChannel(wasm, 'times', { x: at.y, parameter: at.scale, y: at.y }, plan)
  launchPerChannel(wasm, 'plus', { x: at.y, parameter: at.offset, y: at.y }, plan)
}

/** dx, dscale and doffset from x, dy and the statistics. Addresses in the heap. */
export function launchGroupedGradient(
  wasm: WasmBackend,
  at: NormalizationGradientAddresses,
  plan: NormalizationPlan,
): void {
  if (elements(plan) === 0) {
    // Groups without elements have no statistics, and add nothing.
    for (const y of [at.dscale, at.doffset])
      wasm.launch('fill', { y, value: 0 }, { items: plan.channels, grain: 65536 })
    return
  }
  if (plan.positions > 1) {
    wasm.withTemporary(4 * elements(plan), (x) =>
      wasm.withTemporary(4 * elements(plan), (dy) => {
        launchTurn(wasm, at.x, x, plan, 'front')
        launchTurn(wasm, at.dy, dy, plan, 'front')
        launchGroupedGradient(wasm, { ...at, x, dy, dx: dy }, { ...plan, positions: 1 })
        launchTurn(wasm, dy, at.dx, plan, 'back')
      }),
    )
    return
  }
  if (plan.groupChannels === 1 || plan.inner >= SHORT_RUN.measured) launchNormalizationGradient(wasm, at, plan)
  else launchShortRunsGradient(wasm, at, plan)
}

/** y = the sums of x over each channel: first over observations, along neighbouring elements, then over the runs. */
function launchChannelSums(wasm: WasmBackend, x: number, y: number, plan: NormalizationPlan): void {
  const { inner, channels, observations, outer } = plan
  wasm.withTemporary(4 * inner * channels, (sums) => {
    launchReduction(wasm, 'sum', x, sums, reductionPlan([inner * channels, observations * outer], [1]))
    launchReduction(wasm, 'sum', sums, y, reductionPlan([inner, channels], [0]))
  })
}

/** With the group as one plane: dscale and doffset are sums over all groups, dx the gradient for dy * scale. */
function launchShortRunsGradient(wasm: WasmBackend, at: NormalizationGradientAddresses, plan: NormalizationPlan): void {
  const planes = groupsAsPlanes(plan)
  const count = elements(plan)
  wasm.withTemporary(4 * count, (product) => {
    const { x, statistics } = at
    launchNormalizationApply(wasm, { x, y: product, scale: 0, offset: 0, statistics }, planes)
    launchBinary(wasm, 'times', at.dy, product, product, loopNest([count], [[count], [count]]))
    launchChannelSums(wasm, product, at.dscale, plan)
    launchChannelSums(wasm, at.dy, at.doffset, plan)
    launchPerChannel(wasm, 'times', { x: at.dy, parameter: at.scale, y: product }, plan)
    // The sums over planes are not those of channels: they go nowhere.
    wasm.withTemporary(8 * planes.channels, (nowhere) =>
      launchNormalizationGradient(
        wasm,
        { ...at, dy: product, scale: 0, dscale: nowhere, doffset: nowhere + 4 * planes.channels },
        planes,
      ),
    )
  })
}

/** y = scale * (x - mean) / sqrt(variance + epsilon) + offset with the statistics that are given. Addresses in the heap. */
export function launchGiven(wasm: WasmBackend, at: NormalizationAddresses, plan: NormalizationPlan): void {
  if (elements(plan) === 0) return
  if (plan.inner >= SHORT_RUN.given || plan.groupChannels > 1) launchNormalizationApply(wasm, at, plan)
  else launchGivenShortRuns(wasm, at, plan)
}

function launchGivenShortRuns(wasm: WasmBackend, at: NormalizationAddresses, plan: NormalizationPlan): void {
  const { channels } = plan
  wasm.withTemporary(8 * channels, (mean) => {
    const factor = mean + 4 * channels
    const column = (row: number, y: number) =>
      launchCopy(wasm, at.statistics + 4 * row, y, { size: [channels], xSteps: [3], ySteps: [1] })
    column(0, mean)
    column(2, factor)
    launchBinary(wasm, 'times', factor, at.scale, factor, loopNest([channels], [[channels], [channels]]))
    launchPerChannel(wasm, 'minus', { x: at.x, parameter: mean, y: at.y }, plan)
    launchPerChannel(wasm, 'times', { x: at.y, parameter: factor, y: at.y }, plan)
    launchPerChannel(wasm, 'plus', { x: at.y, parameter: at.offset, y: at.y }, plan)
  })
}
