import type { UnderlyingType } from '../../array/dlarray.js'
import type { WasmBackend } from '../../backends/wasm/backend.js'
import type { ChannelLayout } from '../arrays/layout.js'
import { columnsOf, launchColumns, launchColumnsGradient } from './normalization-columns.js'
import { isTiny, launchTiny, launchTinyGradient } from './normalization-tiny.js'

// How the normalizations launch their one kernel family. A group is `groupChannels` neighbouring channels of one
// observation; it has one mean and one deviation, kept as three numbers: mean, what the mean has beyond its nearest float,
// 1 / sqrt(variance + epsilon).

export interface Grouping extends ChannelLayout {
  readonly groupChannels: number
  readonly epsilon: number
}

/** Where the arrays of a normalization lie in the heap. */
export interface NormalizationAddresses {
  readonly x: number
  readonly y: number
  readonly scale: number
  readonly offset: number
  readonly statistics: number
}

/** The same of its gradient. */
export interface NormalizationGradientAddresses {
  readonly x: number
  readonly dy: number
  readonly dx: number
  readonly scale: number
  readonly statistics: number
  readonly dscale: number
  readonly doffset: number
}

/** The smallest normal float32. */
const LEAST_SINGLE = 2 ** -126

/** What is added to a variance of this class: an epsilon that float32 cannot hold would be 0, and a constant channel NaN. */
export function epsilonFor(type: UnderlyingType, epsilon: number): number {
  return type === 'double' ? epsilon : Math.max(epsilon, LEAST_SINGLE)
}

/** Elements that a kernel in steps takes as one part; normalization.ts of the kernels has the same number. */
const PART = 16384
/**
 * Elements a thread takes at once: enough for kernels that work on two groups at a time, and sixteen turns where the array
 * is small.
 */
const GRAIN = { least: 32768, most: 1048576, turns: 16 }
/** With fewer groups than this, and groups of several parts, threads share the parts of a group. */
const FEW_GROUPS = 16

export function groupCount({ channels, observations, groupChannels }: Grouping): number {
  return (channels / groupChannels) * observations
}

/** Numbers that describe all groups: 3 for each. */
export function statisticsSize(grouping: Grouping): number[] {
  return [3, groupCount(grouping)]
}

interface Sizes {
  readonly groups: number
  readonly planes: number
  /** Parts of a group and of a plane. */
  readonly groupParts: number
  readonly planeParts: number
  readonly inSteps: boolean
  /** Items a thread takes at once, where an item is a group and where it is a part. */
  readonly groupGrain: number
  readonly partGrain: number
}

/** One channel of one observation lies without gaps. */
function withoutGaps<G extends Grouping>(grouping: G): G {
  const { inner, channels, observations, outer } = grouping
  return channels * observations === 1 ? { ...grouping, inner: inner * outer, outer: 1 } : grouping
}

function sizesOf(grouping: Grouping): Sizes {
  const plane = grouping.inner * grouping.outer
  const group = plane * grouping.groupChannels
  const groups = groupCount(grouping)
  const groupParts = Math.ceil(group / PART)
  const grain = Math.min(GRAIN.most, Math.max(GRAIN.least, (group * groups) / GRAIN.turns))
  return {
    groups,
    planes: grouping.channels * grouping.observations,
    groupParts,
    planeParts: Math.ceil(plane / PART),
    inSteps: groups < FEW_GROUPS && groupParts > 1,
    groupGrain: Math.ceil(grain / Math.max(group, 1)),
    partGrain: Math.max(1, Math.ceil(grain / Math.max(1, Math.min(plane, PART)))),
  }
}

function blockOf({ inner, channels, observations, outer, groupChannels, epsilon }: Grouping) {
  return {
    x: 0,
    y: 0,
    scale: 0,
    offset: 0,
    statistics: 0,
    dy: 0,
    dx: 0,
    planeSums: 0,
    partials: 0,
    coefficients: 0,
    inner,
    channels,
    observations,
    outer,
    groupChannels,
    epsilon,
  }
}

/** y = scale * (x - mean) / sqrt(variance + epsilon) + offset for every group; writes its statistics. Addresses in the heap. */
export function launchNormalization(wasm: WasmBackend, addresses: NormalizationAddresses, layout: Grouping): void {
  if (isTiny(layout)) {
    launchTiny(wasm, addresses, layout)
    return
  }
  const grouping = withoutGaps(layout)
  const { groups, planes, groupParts, planeParts, inSteps, groupGrain, partGrain } = sizesOf(grouping)
  const columns = columnsOf(grouping)
  if (columns) {
    launchColumns(wasm, addresses, grouping, columns)
    return
  }
  const block = { ...blockOf(grouping), ...addresses }
  if (!inSteps) {
    launchGroups(wasm, block, groups, groupGrain)
    return
  }
  wasm.withTemporary(16 * groups * groupParts, (partials) => {
    const stepped = { ...block, partials }
    wasm.launch('normalizeMeasure', stepped, { items: groups * groupParts, grain: partGrain })
    wasm.launch('normalizeJoin', stepped, { items: groups, grain: groups })
    wasm.launch('normalizeApply', stepped, { items: planes * planeParts, grain: partGrain })
  })
}

/**
 * With fewer elements the time of memory that is saved is less than what small pieces cost: at 17 MB and more a loss gains 2 to 10 %, at
 * 6 MB it would lose as much.
 */
const LONG = 4194304

/** Turns there must be for all threads to have work, where a reduction makes them longer. */
const LEAST_TURNS = 8

/** Launches whole groups; where groups have no gaps, a reduction of y that comes next is done among it. */
function launchGroups(wasm: WasmBackend, block: ReturnType<typeof blockOf>, groups: number, grain: number): void {
  const { x, y, inner, groupChannels, outer } = block
  const length = inner * groups
  const launch = () => wasm.launch('normalize', block, { items: groups, grain })
  if (length < LONG || outer > 1 || groupChannels > 1 || x === y) {
    launch()
    return
  }
  /** A thread takes so many groups that they begin and end with an item of the reduction. */
  const grainFor = (span: number) => {
    const together = span / greatestCommonDivisor(inner, span)
    return together * Math.ceil(grain / together)
  }
  wasm.held.hold({
    y,
    length,
    canReduce: (span) => grainFor(span) <= Math.max(grain, groups / LEAST_TURNS),
    run(reduction) {
      if (reduction === undefined) launch()
      else
        wasm.withBlock('normalize', block, (normalization) => {
          const { address, span } = reduction
          const both = { normalization, reduction: address, span }
          wasm.launch('normalizeAndReduce', both, { items: groups, grain: grainFor(span) })
        })
    },
  })
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** y = scale * (x - mean) / sqrt(variance + epsilon) + offset with statistics that are given. Addresses in the heap. */
export function launchNormalizationApply(wasm: WasmBackend, addresses: NormalizationAddresses, layout: Grouping): void {
  const grouping = withoutGaps(layout)
  const { planes, planeParts, partGrain } = sizesOf(grouping)
  const block = { ...blockOf(grouping), ...addresses }
  wasm.launch('normalizeApply', block, { items: planes * planeParts, grain: partGrain })
}

/** dx, dscale and doffset from x, dy and the statistics. Addresses in the heap. */
export function launchNormalizationGradient(
  wasm: WasmBackend,
  addresses: NormalizationGradientAddresses,
  layout: Grouping,
): void {
  if (isTiny(layout)) {
    launchTinyGradient(wasm, addresses, layout)
    return
  }
  const grouping = withoutGaps(layout)
  const { groups, planes, planeParts, inSteps, groupGrain, partGrain } = sizesOf(grouping)
  const { x, dy, dx, scale, statistics, dscale, doffset } = addresses
  const { channels, observations } = grouping
  const columns = columnsOf(grouping)
  // kernels read whole vectors
  wasm.withTemporary(8 * planes + 16, (planeSums) => {
    const block = { ...blockOf(grouping), x, dy, dx, scale, statistics, planeSums }
    if (columns) launchColumnsGradient(wasm, { x, dy, dx, scale, statistics, planeSums }, grouping, columns)
    else if (inSteps)
      wasm.withTemporary(16 * planes * planeParts, (partials) =>
        wasm.withTemporary(16 * planes, (coefficients) => {
          const stepped = { ...block, partials, coefficients }
          wasm.launch('normalizeGradientSums', stepped, { items: planes * planeParts, grain: partGrain })
          wasm.launch('normalizeGradientJoin', stepped, { items: groups, grain: groups })
          wasm.launch('normalizeGradientApply', stepped, { items: planes * planeParts, grain: partGrain })
        }),
      )
    else wasm.launch('normalizeGradient', block, { items: groups, grain: groupGrain })
    wasm.launch(
      'normalizeParameterGradient',
      { planeSums, dscale, doffset, channels, observations },
      { items: channels, grain: 64 },
    )
  })
}
