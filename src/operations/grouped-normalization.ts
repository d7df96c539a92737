import type { WasmBackend } from '../backends/wasm/backend.js'
import { launchBinary } from './binary.js'
import { loopNest } from './expansion.js'
import { launchCopy } from './movement.js'
import {
  type Grouping,
  launchNormalization,
  launchNormalizationApply,
  launchNormalizationGradient,
} from './normalization.js'
import { launchReduction, reductionPlan } from './reduction.js'

// How normalizations of every kind of group run on the kernels of normalization.ts.

export interface NormalizationPlan extends Grouping {
  /**
   * Positions of an observation that are normalized each on its own, 1 where they are not. They lie before the channels in
   * memory; `inner` and `outer` are then 1, and `observations` counts them, positions first.
   */
  readonly positions: number
}

/** Runs of fewer elements than this are too short to be scaled one by one: a group is normalized as one plane, then scaled. */
const SHORT_RUN = 16

interface Forward {
  readonly x: number
  readonly y: number
  readonly scale: number
  readonly offset: number
  readonly statistics: number
}

interface Backward {
  readonly x: number
  readonly dy: number
  readonly dx: number
  readonly scale: number
  readonly statistics: number
  readonly dscale: number
  readonly doffset: number
}

/** The plan with each group as one channel. */
function groupsAsPlanes(plan: NormalizationPlan): Grouping {
  const { inner, channels, groupChannels } = plan
  return { ...plan, inner: inner * groupChannels, channels: channels / groupChannels, groupChannels: 1 }
}

const elements = ({ inner, channels, observations, outer }: Grouping) => inner * channels * observations * outer

/** The loops of y = f(x, parameter of the channel). */
function perChannelNest({ inner, channels, observations, outer }: Grouping) {
  const size = [inner, channels, observations * outer]
  return loopNest(size, [size, [1, channels, 1]])
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
export function launchGrouped(wasm: WasmBackend, at: Forward, plan: NormalizationPlan): void {
  if (plan.positions > 1) {
    wasm.withTemporary(4 * elements(plan), (turned) => {
      launchTurn(wasm, at.x, turned, plan, 'front')
      launchGrouped(wasm, { ...at, x: turned, y: turned }, { ...plan, positions: 1 })
      launchTurn(wasm, turned, at.y, plan, 'back')
    })
    return
  }
  if (plan.groupChannels === 1 || plan.inner >= SHORT_RUN) {
    launchNormalization(wasm, at, plan)
    return
  }
  launchNormalization(wasm, { ...at, scale: 0, offset: 0 }, groupsAsPlanes(plan))
  const nest = perChannelNest(plan)
  launchBinary(wasm, 'times', at.y, at.scale, at.y, nest)
  launchBinary(wasm, 'plus', at.y, at.offset, at.y, nest)
}

/** dx, dscale and doffset from x, dy and the statistics. Addresses in the heap. */
export function launchGroupedGradient(wasm: WasmBackend, at: Backward, plan: NormalizationPlan): void {
  if (plan.inner * plan.outer === 0) {
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
  if (plan.groupChannels === 1 || plan.inner >= SHORT_RUN) launchNormalizationGradient(wasm, at, plan)
  else launchShortRunsGradient(wasm, at, plan)
}

/** With the group as one plane: dscale and doffset are sums over all groups, dx the gradient for dy * scale. */
function launchShortRunsGradient(wasm: WasmBackend, at: Backward, plan: NormalizationPlan): void {
  const { inner, channels, observations, outer } = plan
  const planes = groupsAsPlanes(plan)
  const overRest = reductionPlan([inner, channels, observations * outer], [0, 2])
  const count = elements(plan)
  wasm.withTemporary(4 * count, (product) => {
    launchReduction(wasm, 'sum', at.dy, at.doffset, overRest)
    const { x, statistics } = at
    launchNormalizationApply(wasm, { x, y: product, scale: 0, offset: 0, statistics }, planes)
    launchBinary(wasm, 'times', at.dy, product, product, loopNest([count], [[count], [count]]))
    launchReduction(wasm, 'sum', product, at.dscale, overRest)
    launchBinary(wasm, 'times', at.dy, at.scale, product, perChannelNest(plan))
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
export function launchGiven(wasm: WasmBackend, at: Forward, plan: NormalizationPlan): void {
  if (plan.inner >= SHORT_RUN || plan.groupChannels > 1) launchNormalizationApply(wasm, at, plan)
  else launchGivenShortRuns(wasm, at, plan)
}

function launchGivenShortRuns(wasm: WasmBackend, at: Forward, plan: NormalizationPlan): void {
  const nest = perChannelNest(plan)
  const { channels } = plan
  wasm.withTemporary(8 * channels, (mean) => {
    const factor = mean + 4 * channels
    const column = (row: number, y: number) =>
      launchCopy(wasm, at.statistics + 4 * row, y, { size: [channels], xSteps: [3], ySteps: [1] })
    column(0, mean)
    column(2, factor)
    launchBinary(wasm, 'times', factor, at.scale, factor, loopNest([channels], [[channels], [channels]]))
    launchBinary(wasm, 'minus', at.x, mean, at.y, nest)
    launchBinary(wasm, 'times', at.y, factor, at.y, nest)
    launchBinary(wasm, 'plus', at.y, at.offset, at.y, nest)
  })
}
