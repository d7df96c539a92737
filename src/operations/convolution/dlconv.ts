import type { DlArray } from '../../array/dlarray.js'
import { asText, checkOptionNames, OptionError } from '../../errors.js'
import { type PaddingValue, padOperation } from '../arrays/pad.js'
import { call, type DataFormatOption, type Operand } from '../call.js'
import type { Operation } from '../operation.js'
import { dlconvOperation } from './convolution.js'
import { biasFor, prepare } from './convolution-format.js'
import {
  imageLayout,
  type Padding,
  type PerDimension,
  positive,
  resolvePadding,
  weightsLayout,
} from './convolution-geometry.js'

/** Options of {@link dlconv}. */
export interface DlconvOptions extends DataFormatOption {
  /** Pixels from one window to the next; default 1. */
  readonly stride?: PerDimension
  /** Pixels from one element of the filter to the next; default 1. */
  readonly dilationFactor?: PerDimension
  /** Pixels added at the edges; default 0. */
  readonly padding?: Padding
  /** What the added pixels hold; default 0. */
  readonly paddingValue?: PaddingValue
  /** Labels of unlabelled weights, in their own order: S or T filter, C channels per group, U filters per group, U groups. */
  readonly weightsFormat?: string
}

type Options = Required<Omit<DlconvOptions, 'dataFormat' | 'weightsFormat'>> & {
  readonly weightsFormat: string | undefined
}

const defaults: Options = { stride: 1, dilationFactor: 1, padding: 0, paddingValue: 0, weightsFormat: undefined }

function compute(
  { X, weights, bias }: { readonly X: DlArray; readonly weights: DlArray; readonly bias?: DlArray },
  options: Partial<Options> = {},
): DlArray {
  checkOptionNames('dlconv', options, Object.keys(defaults))
  const { paddingValue = 0, weightsFormat, ...windows } = options
  const prepared = prepare(X, weights, weightsFormat, 'CUU', 'dlconv')
  let { image } = prepared
  const layout = imageLayout(image, 'dlconv')
  const rank = layout.extents.length
  const filters = weightsLayout(prepared.weights, rank, 'channels per group, filters per group', 'dlconv')
  if (paddingValue !== 0) {
    checkPaddingValue(paddingValue)
    const stride = positive(windows.stride ?? 1, rank, 'stride', 'dlconv')
    const dilation = positive(windows.dilationFactor ?? 1, rank, 'dilationFactor', 'dlconv')
    const reach = filters.filter.map((taps, d) => (taps - 1) * dilation[d]! + 1)
    const { before, after } = resolvePadding(windows.padding ?? 0, layout.extents, reach, stride, 'dlconv')
    image = padOperation.run({ X: image }, { before, after, value: paddingValue })
    windows.padding = 0
  }
  const all = biasFor(bias, filters.outer * filters.groups)
  return prepared.restore(dlconvOperation.run({ X: image, weights: prepared.weights, bias: all }, windows))
}

function checkPaddingValue(value: PaddingValue): void {
  const names = ['replicate', 'symmetric-include-edge', 'symmetric-exclude-edge']
  if (typeof value === 'number' ? Number.isNaN(value) : !names.includes(value))
    throw new OptionError({
      call: 'dlconv',
      expects: `for paddingValue a number, ${names.map((name) => `'${name}'`).join(', ')}`,
      got: asText(value),
      remedy: 'Leave it out to pad with zeros.',
    })
}

/** The convolution as users call it: any labels, weights in any order, any padding value. */
const labelled: Operation<'X' | 'weights' | 'bias', 'bias', 'Y', Options> = {
  ...dlconvOperation,
  options: defaults,
  samples: () => [],
  infer: (inputs, options) => dlconvOperation.infer(inputs, options),
  run: compute,
  runAll: (inputs, options) => ({ Y: compute(inputs, options) }),
}

/**
 * Convolution in one, two or three dimensions: Y(u, f) = bias(f) + sum over c, t of weights(t, c, f) X(u stride + t dilation -
 * padding, c), without turning the filter round (a correlation).
 *
 * | argument | meaning |
 * | --- | --- |
 * | `X` | formatted, with C; or unformatted with `dataFormat`. Convolved over its S; over T where the weights have a T, or where X has no S |
 * | `weights` | [filter..., channels per group, filters per group, groups], an array or nested lists; or labelled, or with `weightsFormat` in any order |
 * | `bias` | one element per filter, as an array or a list; a number for all filters, or left out |
 * | `stride`, `dilationFactor` | pixels; a number or one per dimension; default 1 |
 * | `padding` | pixels: a number, one per dimension, `[[top, left], [bottom, right]]`, `'same'` (an odd pixel at the end), `'causal'` (1-D); default 0 |
 * | `paddingValue` | a number (default 0), `'replicate'`, `'symmetric-include-edge'`, `'symmetric-exclude-edge'` |
 *
 * The result has the format of X; each convolved extent is floor((extent + padding - reach) / stride) + 1 with reach = (filter -
 * 1) dilation + 1. In single precision, 3 by 3 filters with stride 1 and 8 channels or more go through transforms (Winograd)
 * whose rounding errors are some 3 times those of plain summation. Errors: a {@link DimensionError} for channels, filters or a bias that do not fit, an {@link OptionError} for
 * options. Source: MATLAB, `dlconv`.
 */
export function dlconv<F extends string>(
  X: DlArray<F>,
  weights: Operand,
  bias?: Operand,
  options: DlconvOptions = {},
): DlArray<F> {
  return call(labelled, { X, weights, bias: bias === 0 ? undefined : bias }, options) as DlArray<F>
}
