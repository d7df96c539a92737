import type { WasmBackend } from '../../backends/wasm/backend.js'
import type { Addresses } from '../products/implicit-product.js'
import { type ConvolutionGeometry, product, type Triple } from './convolution-geometry.js'

// Launches the kernels of kernels/convolution/winograd-phases.ts: longer filters and steps of 2 with fewer multiplications.

const POINTS = 25
/** Transformed columns of the image are made for as many at a time as this holds, so that they stay in the cache. */
const MOST_IMAGE_BYTES = 2 ** 22
/** Products of a work item stay in a second-level cache beside what they are made of. */
const ITEM_BYTES = 400_000
/** What the working memory of a thread holds. */
const MOST_ITEM_BYTES = 2 ** 20
const MOST_LINE_BYTES = 2 ** 19
/** Tiles that share each filter of a work item. */
const ENOUGH_TILES = 64
/** Terms that are summed in registers. */
const MOST_TERMS = 256
/** Most multiplications that are worth transforming, as a share of those of the convolution. */
const MOST_SHARE = 0.85

/** A convolution or its transpose as sums over neighbouring values of the phases of its source. */
export interface PhaseConvolution {
  readonly observations: number
  readonly groups: number
  readonly channels: number
  readonly filters: number
  readonly source: Triple
  readonly output: Triple
  readonly taps: Triple
  readonly dilation: Triple
  /** Phases of the source and of the output; one of them is 1. */
  readonly phasesX: Triple
  readonly phasesY: Triple
  /** Neighbouring values of a phase of the source that a value of the output meets. */
  readonly values: Triple
  /** Where the first of them lies for the first value of the output. */
  readonly offset: Triple
  /** Positions of the phases together before the first of the output. */
  readonly skip: Triple
  /** Tap of phase 0 that meets the first of them; the tap that meets the next is `step` further. */
  readonly first: Triple
  readonly step: Triple
  readonly weights: { readonly channel: number; readonly filter: number; readonly group: number }
}

const ONCE: Triple = [1, 1, 1]

function each(value: (d: 0 | 1 | 2) => number): Triple {
  return [value(0), value(1), value(2)]
}

/** Y = convolution of X with the weights, plus bias. */
export function phasesOfConvolution(g: ConvolutionGeometry): PhaseConvolution {
  const perFilter = product(g.taps) * g.channels
  return {
    ...g,
    source: g.image,
    phasesX: g.stride,
    phasesY: ONCE,
    values: each((d) => Math.ceil(g.taps[d] / g.stride[d])),
    offset: each((d) => -g.before[d]),
    skip: [0, 0, 0],
    first: [0, 0, 0],
    step: g.stride,
    weights: { channel: product(g.taps), filter: perFilter, group: perFilter * g.filters },
  }
}

/** Y = adjoint of the convolution applied to X, plus bias. */
export function phasesOfTranspose(g: ConvolutionGeometry): PhaseConvolution {
  const perFilter = product(g.taps) * g.channels
  // Tap t meets position p of phase r, y = p stride + r - skip, at (p stride + r - skip + before - t) / stride.
  const first = (d: 0 | 1 | 2, skip: number) => Math.ceil((g.before[d] - skip - g.taps[d] + 1) / g.stride[d])
  const values = (d: 0 | 1 | 2, skip: number) =>
    Math.floor((g.stride[d] - 1 + g.before[d] - skip) / g.stride[d]) - first(d, skip) + 1
  const skip = each((d) => (g.stride[d] === 2 && values(d, 1) < values(d, 0) ? 1 : 0))
  const offset = each((d) => first(d, skip[d]))
  return {
    ...g,
    channels: g.filters,
    filters: g.channels,
    source: g.output,
    output: g.image,
    phasesX: ONCE,
    phasesY: g.stride,
    values: each((d) => values(d, skip[d])),
    offset,
    skip,
    first: each((d) => g.before[d] - skip[d] - g.stride[d] * offset[d]),
    step: each((d) => -g.stride[d]),
    weights: { channel: perFilter, filter: product(g.taps), group: perFilter * g.filters },
  }
}

/** How work is cut. */
export interface PhaseCut {
  /** Positions from tile to tile. */
  readonly extent: 3 | 4
  readonly runs: readonly [number, number]
  /** Tiles of a column and columns of an observation, as y and as the image need them. */
  readonly tiles: number
  readonly columnsY: number
  readonly tilesH: number
  readonly columns: number
  readonly together: number
  readonly part: number
  readonly runChannels: number
}

/** Positions from tile to tile: two taps leave room for 4, three for 3. */
function extentOf({ values }: PhaseConvolution): 3 | 4 {
  return Math.max(values[0], values[1]) <= 2 ? 4 : 3
}

/** Runs of taps along h and w. */
function runsOf(p: PhaseConvolution): readonly [number, number] {
  const taps = 6 - extentOf(p)
  return [Math.ceil(p.values[0] / taps), Math.ceil(p.values[1] / taps)]
}

/** Terms of a sum: runs of taps of every phase of every channel. */
export function phaseTerms(p: PhaseConvolution): number {
  return p.channels * product(runsOf(p)) * product(p.phasesX)
}

/** Undefined where too many of the tiles' positions would not be wanted, or work would not fit. */
export function phaseCut(p: PhaseConvolution): PhaseCut | undefined {
  const extent = extentOf(p)
  const runs = runsOf(p)
  const terms = phaseTerms(p)
  const phasesY = product(p.phasesY)
  const tiles = 8 * Math.ceil((p.output[0] + p.skip[0]) / (8 * extent * p.phasesY[0]))
  const columnsY = Math.ceil((p.output[1] + p.skip[1]) / (extent * p.phasesY[1]))
  const multiplications = POINTS * tiles * columnsY * product(p.phasesX) * phasesY * runs[0] * runs[1]
  const plain = (phasesY > 1 ? product(p.source) : product(p.output)) * product(p.taps)
  if (multiplications > MOST_SHARE * plain) return undefined
  const tilesH = 4 * Math.ceil((tiles + runs[0] - 1) / 4)
  const columns = columnsY + runs[1] - 1
  const together = Math.max(1, Math.min(columnsY * p.observations, Math.round(ENOUGH_TILES / tiles)))
  const panels = Math.ceil((p.filters * phasesY) / 4)
  const filterBytes = 4 * POINTS * tiles * together
  const parts = Math.ceil(panels / Math.max(1, Math.floor(ITEM_BYTES / (4 * filterBytes))))
  const part = 4 * Math.ceil(panels / parts)
  const lineBytes = (tilesH + 4) * (5 * extent * p.phasesX[0] + 8 + 20 + 6 * extent) * 4
  const channels = p.channels * product(p.phasesX)
  const runsOfChannels = Math.ceil(terms / MOST_TERMS)
  if (part * filterBytes > MOST_ITEM_BYTES || lineBytes > MOST_LINE_BYTES || runs[0] * runs[1] > 1024) return undefined
  return {
    extent,
    runs,
    tiles,
    columnsY,
    tilesH,
    columns,
    together,
    part,
    runChannels: Math.ceil(channels / runsOfChannels),
  }
}

/** Computes Y. */
export function launchByPhases(wasm: WasmBackend, at: Addresses, p: PhaseConvolution, cut: PhaseCut): void {
  const { extent, tilesH, columns, columnsY, together, part } = cut
  const [runsH, runsW] = cut.runs
  const channels = p.channels * product(p.phasesX)
  const panels = Math.ceil((p.filters * product(p.phasesY)) / 4)
  const filterBytes = POINTS * p.groups * (16 * panels * channels * runsH * runsW + 64)
  const columnBytes = 4 * POINTS * tilesH * channels * p.groups
  const all = columnsY * p.observations
  const most = Math.max(1, Math.floor((MOST_IMAGE_BYTES / columnBytes - runsW + 1) / together)) * together
  const count = together * Math.ceil(all / Math.ceil(all / most) / together)
  const held = count + (Math.ceil(count / columnsY) + 1) * (runsW - 1)
  wasm.withTemporary(filterBytes + held * columnBytes, (transformed) => {
    const image = transformed + filterBytes
    wasm.launch(
      'phaseFilters',
      {
        weights: at.weights,
        transformed,
        filters: p.filters,
        channels: p.channels,
        groups: p.groups,
        phasesXH: p.phasesX[0],
        phasesXW: p.phasesX[1],
        phasesYH: p.phasesY[0],
        phasesYW: p.phasesY[1],
        tapsH: p.taps[0],
        tapsW: p.taps[1],
        runsH,
        runsW,
        runTaps: 6 - extent,
        firstH: p.first[0],
        firstW: p.first[1],
        stepH: p.step[0],
        stepW: p.step[1],
        strideH: 1,
        strideW: p.taps[0],
        strideChannel: p.weights.channel,
        strideFilter: p.weights.filter,
        strideGroup: p.weights.group,
      },
      { items: panels * p.groups, grain: Math.max(1, Math.ceil(64 / (channels * runsH * runsW))) },
    )
    for (let firstY = 0; firstY < all; firstY += count) {
      const here = Math.min(count, all - firstY)
      const columnOf = (column: number) => Math.floor(column / columnsY) * columns + (column % columnsY)
      const firstColumn = columnOf(firstY)
      const imageColumns = columnOf(firstY + here - 1) + runsW - firstColumn
      wasm.launch(
        'phaseImage',
        {
          x: at.X,
          transformed: image,
          planes: p.channels * p.groups,
          channels: p.channels,
          height: p.source[0],
          width: p.source[1],
          phasesH: p.phasesX[0],
          phasesW: p.phasesX[1],
          offsetH: p.offset[0],
          offsetW: p.offset[1],
          extent,
          tilesH,
          columns,
          firstColumn,
        },
        { items: imageColumns * p.channels * p.groups },
      )
      wasm.launch(
        'phaseConvolve',
        {
          image,
          transformed,
          bias: at.bias,
          y: at.Y,
          channels,
          filters: p.filters,
          groups: p.groups,
          runsH,
          runsW,
          phasesH: p.phasesY[0],
          phasesW: p.phasesY[1],
          skipH: p.skip[0],
          skipW: p.skip[1],
          extent,
          tilesH,
          columns,
          height: p.output[0],
          width: p.output[1],
          tiles: cut.tiles,
          columnsY,
          firstColumn: firstY,
          count: here,
          together,
          part,
          runChannels: cut.runChannels,
          ...lastTaps(p, cut),
        },
        { items: Math.ceil(here / together) * Math.ceil((4 * panels) / part) * p.groups },
      )
    }
  })
}

/** Which channels there are at the point infinity: those of phases that have the last of the taps in each direction. */
function lastTaps(p: PhaseConvolution, { extent, runs }: PhaseCut) {
  const short = (d: 0 | 1) => p.phasesX[d] === 2 && runs[d] === 1 && 2 * (6 - extent) - 1 >= p.taps[d]
  const channels = p.channels * product(p.phasesX)
  return {
    endH: short(0) ? channels / 2 : channels,
    beginW: short(1) ? p.channels : 0,
    endW: short(1) && p.phasesX[0] === 2 ? channels - p.channels : channels,
  }
}
