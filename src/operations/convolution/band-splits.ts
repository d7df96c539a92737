import type { ConvolutionGeometry } from './convolution-geometry.js'

/** Work items that keep the threads of any usual machine busy. */
const ENOUGH_ITEMS = 32

/** How work for the gradients for filters that read bands is cut. */
export interface GradientCut {
  /** Lines of dy of a band. */
  readonly lines: number
  /** Parts that are summed on their own. */
  readonly splits: number
}

/**
 * Cuts lines of dy into bands of at most `most`, and observations, or where there are few of them their bands, into parts;
 * undefined where bands would be so narrow that they mostly read what their neighbours read.
 */
export function bandSplits(g: ConvolutionGeometry, most: number): GradientCut | undefined {
  const [, width, depth] = g.output
  const items = g.observations * g.groups
  const few = items < ENOUGH_ITEMS / 4
  const shared = few ? Math.max(4, Math.ceil((width * depth * items) / ENOUGH_ITEMS)) : width
  const lines = Math.min(width, most, shared)
  const parts = few ? g.observations * depth * Math.ceil(width / lines) : g.observations
  if (lines < Math.min(width, 4) || parts * g.groups < ENOUGH_ITEMS / 4) return undefined
  return { lines, splits: Math.min(parts, Math.ceil(ENOUGH_ITEMS / g.groups)) }
}
