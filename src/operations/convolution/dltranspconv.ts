import type { DlArray } from '../../array/dlarray.js'
import { call, type DataFormatOption, type Operand } from '../call.js'
import type { Operation } from '../operation.js'
import { dltranspconvOperation } from './convolution.js'
import { biasFor, prepare } from './convolution-format.js'
import { imageLayout, type Padding, type PerDimension, weightsLayout } from './convolution-geometry.js'

/** Options of {@link dltranspconv}. */
export interface DltranspconvOptions extends DataFormatOption {
  /** Pixels of the result from one window to the next; default 1. */
  readonly stride?: PerDimension
  /** Pixels from one element of the filter to the next; default 1. */
  readonly dilationFactor?: PerDimension
  /**
   * Pixels cut off at the edges, or `'same'`: extent of the result = extent of X times stride; of an odd number one more is cut
   * off at the end. A filter that reaches less far than the stride leaves nothing to cut: then elements that hold the bias are
   * added at the end (MATLAB's pages do not say where). Default 0.
   */
  readonly cropping?: Exclude<Padding, 'causal'>
  /** Labels of unlabelled weights, in their own order: S or T filter, U filters per group, C channels per group, U groups. */
  readonly weightsFormat?: string
}

type Options = Required<Omit<DltranspconvOptions, 'dataFormat' | 'weightsFormat'>> & {
  readonly weightsFormat: string | undefined
}

const defaults: Options = { stride: 1, dilationFactor: 1, cropping: 0, weightsFormat: undefined }

function compute(
  { X, weights, bias }: { readonly X: DlArray; readonly weights: DlArray; readonly bias?: DlArray },
  options: Partial<Options> = {},
): DlArray {
  const { weightsFormat, ...windows } = options
  const prepared = prepare(X, weights, weightsFormat, 'UCU', 'dltranspconv')
  const { extents } = imageLayout(prepared.image, 'dltranspconv')
  const filters = weightsLayout(
    prepared.weights,
    extents.length,
    'filters per group, channels per group',
    'dltranspconv',
  )
  const all = biasFor(bias, filters.inner * filters.groups)
  const Y = dltranspconvOperation.run({ X: prepared.image, weights: prepared.weights, bias: all }, windows)
  return prepared.restore(Y)
}

/** The transposed convolution as users call it: any labels, weights in any order. */
const labelled: Operation<'X' | 'weights' | 'bias', 'bias', 'Y', Options> = {
  ...dltranspconvOperation,
  options: defaults,
  samples: () => [],
  infer: (inputs, options) => dltranspconvOperation.infer(inputs, options),
  run: compute,
  runAll: (inputs, options) => ({ Y: compute(inputs, options) }),
}

/**
 * Transposed convolution in one, two or three dimensions: the adjoint of {@link dlconv} with the same filters, which
 * enlarges. Y(v, f) = bias(f) + sum of weights(t, f, c) X(u, c) over all u, t, c with u stride + t dilation - cropping = v.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `X` | formatted, with C; or unformatted with `dataFormat`. Convolved over its S; over T where the weights have a T, or where X has no S |
 * | `weights` | [filter..., filters per group, channels per group, groups], an array or nested lists; or labelled, or with `weightsFormat` in any order |
 * | `bias` | one element per filter, as an array or a list; a number for all filters, or left out |
 * | `stride`, `dilationFactor` | pixels; a number or one per dimension; default 1 |
 * | `cropping` | pixels: a number, one per dimension, `[[top, left], [bottom, right]]`, or `'same'`; default 0 |
 *
 * The result has the format of X; each convolved extent is (extent - 1) stride + (filter - 1) dilation + 1 - cropping.
 * Errors: a {@link DimensionError} for channels, filters or a bias that do not fit, an {@link OptionError} for options.
 * Source: MATLAB, `dltranspconv`.
 */
export function dltranspconv<F extends string>(
  X: DlArray<F>,
  weights: Operand,
  bias?: Operand,
  options: DltranspconvOptions = {},
): DlArray<F> {
  return call(labelled, { X, weights, bias: bias === 0 ? undefined : bias }, options) as DlArray<F>
}
