import { convolutionProduct, type ImplicitProduct } from '../products/implicit-product.js'
import { depthwiseTakes } from './convolution-depthwise-launch.js'
import { type DirectCut, directCut, directGradientCut, directGradientMemory } from './convolution-direct-launch.js'
import { type ConvolutionGeometry, product, type Triple } from './convolution-geometry.js'
import {
  type LinesCut,
  linesCut,
  linesGradientCut,
  linesGradientMemory,
  partsOf,
  tilesOfLine,
} from './winograd-lines-launch.js'
import {
  type PhaseConvolution,
  type PhaseCut,
  phaseCut,
  phasesOfConvolution,
  phasesOfTranspose,
  phaseTerms,
} from './winograd-phases-launch.js'
import { TILES, tilesGradientCut, tilesOf } from './winograd-tiles-launch.js'

// Which kernels compute a convolution, its adjoint (the gradient for its input) and its gradient for the filters. Sizes alone
// decide, so that results are the same bits for any number of threads. The functions below ask the families in their order, and
// the first that takes the sizes computes them:
//
//   family    takes                                              because
//   depthwise 3 by 3 taps, a filter for each plane               lanes are planes; nothing else is short enough
//   phases    steps of 2 along h or w, long filters; planes      five points in each direction, whatever the length of filters
//   winograd  3 by 3 taps (any along d), step 1, many filters    a quarter of the multiplications; transforms are shared
//   tiles     up to 5 by 5 taps, step 1; planes                  a sixth of the multiplications, but dear transforms of tiles
//   lines     4 and more taps along h, step 1 there              8 multiplications in place of 20 in one dimension of any
//   direct    few filters                                        copying patches would cost more than the sums
//   patches   everything                                         plain sums at the speed of a product of matrices
//
// Filters of 5 along h are for tiles and lines rather than phases, which have three taps in a run.
//
// What is said here is what a family computes and whether that is worth it. How its work is cut, and whether that fits the
// working memory of a thread, each family says itself.

/** From so many observations on, those are the parts of the work. */
const ENOUGH_OBSERVATIONS = 8

/** The way of a convolution or its adjoint as one product of implicit matrices. */
export type ProductChoice =
  | { readonly family: 'winograd' | 'tiles' | 'patches' }
  | { readonly family: 'lines'; readonly cut: LinesCut }
  | { readonly family: 'direct'; readonly cut: DirectCut }
  | { readonly family: 'depthwise' }

/** The family of a product. */
export function chooseProduct(p: ImplicitProduct): ProductChoice {
  if (depthwiseTakes(p)) return { family: 'depthwise' }
  if (winogradTakes(p)) return { family: 'winograd' }
  if (tilesTake(p)) return { family: 'tiles' }
  const lines = linesTake(p) ? linesCut(p) : undefined
  if (lines) return { family: 'lines', cut: lines }
  const direct = directTakes(p) ? directCut(p) : undefined
  if (direct) return { family: 'direct', cut: direct }
  return { family: 'patches' }
}

/** A convolution by phases, where that is its way; `p` is the same as a product, whose tiles are better at 5 by 5 taps. */
export function choosePhases(g: ConvolutionGeometry, p: ImplicitProduct): PhaseChoice | undefined {
  return tilesTake(p) ? undefined : phaseChoice(phasesOfConvolution(g))
}

/** The adjoint of a convolution by phases, where that is its way. */
export function chooseTransposedPhases(g: ConvolutionGeometry): PhaseChoice | undefined {
  return phaseChoice(phasesOfTranspose(g))
}

export interface PhaseChoice {
  readonly phases: PhaseConvolution
  readonly cut: PhaseCut
}

function phaseChoice(phases: PhaseConvolution): PhaseChoice | undefined {
  const cut = phasesTake(phases) ? phaseCut(phases) : undefined
  return cut && { phases, cut }
}

/** The way of a gradient for the filters. */
export type FilterGradientChoice =
  | { readonly family: 'winograd' }
  | { readonly family: 'patches' }
  | { readonly family: 'depthwise' }
  /** Kernels that sum the gradient observation by observation. */
  | FilterGradientCut

/** How work for a kernel that sums the gradient observation by observation is cut. */
export interface FilterGradientCut {
  readonly family: 'tiles' | 'lines' | 'direct'
  readonly lines: number
  readonly splits: number
  /** Bytes of a thread's working memory that it needs. */
  readonly memory: number
}

/** The family of a gradient for the filters. */
export function chooseFilterGradient(g: ConvolutionGeometry): FilterGradientChoice {
  if (g.observations === 0) return { family: 'patches' }
  if (depthwiseTakes(convolutionProduct(g))) return { family: 'depthwise' }
  if (winogradGradientTakes(g)) return { family: 'winograd' }
  const tiles = tilesGradientTake(g) ? tilesGradientCut(g) : undefined
  if (tiles) return { family: 'tiles', lines: 0, ...tiles }
  const lines = linesGradientTake(g) ? linesGradientCut(g) : undefined
  if (lines) return { family: 'lines', ...lines, memory: linesGradientMemory(g, lines) }
  const direct = directGradientTakes(g) ? directGradientCut(g) : undefined
  if (direct) return { family: 'direct', ...direct, memory: directGradientMemory }
  return { family: 'patches' }
}

// Winograd's F(4x4, 3x3). Taps along d count as channels: together they are the terms of a sum.

/** Below so many products of terms and filters the transforms cost more than they save. */
const FEW_PRODUCTS = 256
const FEW_TERMS = 8
/** Least share of the computed positions that must be wanted: tiles are 16 by 4. */
const LEAST_USE = 0.55

/** Whether the product is a convolution with 3 by 3 neighbouring taps, any along d, that is worth transforming. */
function winogradTakes(p: ImplicitProduct): boolean {
  const [height, width] = p.positions
  const neighbours = p.taps[0] === 3 && p.taps[1] === 3 && Math.abs(p.spacing[0]) === 1 && Math.abs(p.spacing[1]) === 1
  const dense = p.step[0] === 1 && p.step[1] === 1 && p.strides[0] === 1
  return neighbours && dense && worthTransforming(height, width, p.channels * p.taps[2], p.filters)
}

/** The same question for the gradient for the filters. */
function winogradGradientTakes(g: ConvolutionGeometry): boolean {
  const taps = g.taps[0] === 3 && g.taps[1] === 3
  const plain = g.stride[0] === 1 && g.stride[1] === 1 && g.dilation[0] === 1 && g.dilation[1] === 1
  return taps && plain && worthTransforming(g.output[0], g.output[1], g.channels * g.taps[2], g.filters)
}

/** `terms` are channels times taps along d. */
function worthTransforming(height: number, width: number, terms: number, filters: number): boolean {
  const many = terms * filters >= FEW_PRODUCTS && terms >= FEW_TERMS && filters >= FEW_TERMS
  const used = (height * width) / (16 * Math.ceil(height / 16) * 4 * Math.ceil(width / 4))
  return many && used >= LEAST_USE
}

// Transforms of tiles, F(4x4, 5x5).

const MOST_TILE_TAPS = 5
/** The working memory holds the transformed tiles of so many channels. */
const MOST_TILE_CHANNELS = 100
/** Multiplications of a tile for each channel and filter. */
const TILE_POINTS = 64
/** What transforms of a tile cost, counted in multiplications: for each channel of x, at edges with zeros; for each filter. */
const TILE_OF_X = 1000
const TILE_OF_Y = 150
/** Least gain over plain sums, and over those with fewer products along h alone, that is worth the rounding errors. */
const LEAST_TILES_GAIN = 1.5

/** Whether the transforms of tiles gain enough over plain sums; `tiles` is how many are computed. */
function tilesPay(positions: Triple, taps: Triple, channels: number, filters: number, tiles: number): boolean {
  const panels = 4 * Math.ceil(filters / 4)
  const cost = tiles * (TILE_POINTS * channels * panels + TILE_OF_X * channels + TILE_OF_Y * panels)
  return product(positions) * product(taps) * channels * panels >= LEAST_TILES_GAIN * cost
}

/** Whether the kernel convolveTiles is the one for a product. */
function tilesTake(p: ImplicitProduct): boolean {
  const { taps, positions, channels, filters } = p
  const planar = taps[2] === 1 && positions[2] === 1 && p.source[2] === 1 && p.offset[2] === 0
  const neighbours = ([0, 1] as const).every(
    (d) => p.step[d] === 1 && (Math.abs(p.spacing[d]) === 1 || taps[d] === 1) && taps[d] <= MOST_TILE_TAPS,
  )
  if (!planar || !neighbours || p.strides[0] !== 1 || channels === 0 || channels > MOST_TILE_CHANNELS) return false
  return tilesPay(positions, taps, channels, filters, TILES * Math.ceil(tilesOf(positions) / TILES))
}

/** The same question for the gradient for the filters, whose parts are observations. */
function tilesGradientTake(g: ConvolutionGeometry): boolean {
  const { taps, output, channels, filters, observations } = g
  const planar = taps[2] === 1 && output[2] === 1 && g.image[2] === 1 && g.before[2] === 0
  const neighbours = ([0, 1] as const).every(
    (d) => g.stride[d] === 1 && (g.dilation[d] === 1 || taps[d] === 1) && taps[d] <= MOST_TILE_TAPS,
  )
  if (!planar || !neighbours || channels === 0 || observations < ENOUGH_OBSERVATIONS) return false
  return tilesPay(output, taps, channels, filters, 4 * Math.ceil(tilesOf(output) / 4))
}

// Transforms of lines, F(4, 5) along h.

/** Below so many taps along h the transforms cost more than they save. */
const FEW_LINE_TAPS = 4
/** Multiplications of 4 positions and up to 5 taps for each channel and filter. */
const LINE_POINTS = 8
/** What transforms of 4 positions cost, counted in multiplications: for each channel of x, for each filter. */
const LINE_OF_X = 40
const LINE_OF_Y = 24
/** Least gain that is worth the rounding errors. */
const LEAST_LINES_GAIN = 1.15

/** Multiplications of a line by 8 products for a tile, and what its transforms cost beside them. */
function lineCost(height: number, taps: Triple, channels: number, filters: number): number {
  const panels = 4 * Math.ceil(filters / 4)
  const tile =
    LINE_POINTS * partsOf(taps[0]) * taps[1] * taps[2] * channels * panels +
    LINE_OF_X * channels * taps[2] +
    LINE_OF_Y * panels
  return tile * tilesOfLine(height, taps[0])
}

/** Whether the transforms of lines gain enough over plain sums. */
function linesPay(height: number, taps: Triple, channels: number, filters: number): boolean {
  // Plain sums of up to three filters cost what they are, of more what panels of four cost.
  const plain = height * product(taps) * channels * (filters < 4 ? filters : 4 * Math.ceil(filters / 4))
  return plain >= LEAST_LINES_GAIN * lineCost(height, taps, channels, filters)
}

/** Whether neighbours along h are summed, by enough taps. */
function linesTake({ positions, taps, step, spacing, strides, channels, filters }: ImplicitProduct): boolean {
  const neighbours = step[0] === 1 && Math.abs(spacing[0]) === 1 && strides[0] === 1
  return neighbours && taps[0] >= FEW_LINE_TAPS && channels > 0 && linesPay(positions[0], taps, channels, filters)
}

/** The same question for the gradient for the filters. */
function linesGradientTake({ output, taps, stride, dilation, channels, filters }: ConvolutionGeometry): boolean {
  const neighbours = stride[0] === 1 && dilation[0] === 1
  return neighbours && taps[0] >= FEW_LINE_TAPS && channels > 0 && linesPay(output[0], taps, channels, filters)
}

// Transforms by phases, five points in each direction.

/** Below so many products of channels and filters the transforms cost more than they save. */
const FEW_PHASE_PRODUCTS = 48
/** With fewer terms to a sum, storing it takes longer than summing. */
const FEW_PHASE_TERMS = 16
/** Whether a convolution or its adjoint is one for transforms by phases. */
function phasesTake(p: PhaseConvolution): boolean {
  const planar = p.taps[2] === 1 && p.source[2] === 1 && p.output[2] === 1 && p.offset[2] === 0
  const steps = [p.phasesX, p.phasesY].every(([h, w, d]) => h <= 2 && w <= 2 && d === 1)
  const neighbours = (p.dilation[0] === 1 || p.taps[0] === 1) && (p.dilation[1] === 1 || p.taps[1] === 1)
  const many = p.channels * p.filters >= FEW_PHASE_PRODUCTS && product(p.output) * p.observations * p.groups > 0
  if (!planar || !steps || !neighbours || !many) return false
  // Without steps, filters of 3 by 3 taps are for `winograd`, 5 taps along h for `tiles` and `lines`.
  const once = product(p.phasesX) * product(p.phasesY) === 1
  const others = once && (p.taps[0] === 5 || (p.values[0] === 3 && p.values[1] === 3))
  return !others && phaseTerms(p) >= FEW_PHASE_TERMS
}

// Plain sums that read patches in place.

/** Up to so many filters per group patches are read in place: copying them would cost more than it saves. */
const FEW_FILTERS = 32
/** With steps along h, lines are cut into phases, which pays for so few. */
const FEW_FILTERS_OF_STEPS = 3

/** Whether a product has few enough filters, and lines that fill their tiles of 8 positions. */
function directTakes(p: ImplicitProduct): boolean {
  if (p.filters > (p.step[0] === 1 ? FEW_FILTERS : FEW_FILTERS_OF_STEPS)) return false
  const [height] = p.positions
  // With few filters even half-used tiles are faster; otherwise copying is, unless next to nothing is wasted.
  const used = height / (8 * Math.ceil(height / 8))
  return product(p.taps) > 1 && p.channels > 0 && used >= (p.filters <= 4 ? 0.4 : 0.95)
}

/** The same question for the gradient for the filters, whose vectors are 4 positions of a line. */
function directGradientTakes({ output: [height], taps, stride, channels, filters }: ConvolutionGeometry): boolean {
  if (stride[0] > 1 && filters > FEW_FILTERS_OF_STEPS) return false
  return product(taps) > 1 && channels > 0 && height >= 0.85 * 4 * Math.ceil(height / 4)
}
