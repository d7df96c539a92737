import type { ArrayInfo } from '../../array/dlarray.js'
import { describe, numel } from '../../array/format.js'
import { DimensionError } from '../../errors.js'

/**
 * A formatted array seen as four dimensions, in memory order: all S together, C, B, and all T and U together. Absent ones
 * are 1. The element (inner, channel, observation, outer) is at
 * `inner + inner_extent * (channel + channels * (observation + observations * outer))`.
 */
export interface ChannelLayout {
  readonly inner: number
  readonly channels: number
  readonly observations: number
  readonly outer: number
}

/** Throws a {@link DimensionError} when the array has no C dimension. */
export function channelLayout(X: ArrayInfo, call: string): ChannelLayout {
  const channel = X.dims.indexOf('C')
  if (channel < 0)
    throw new DimensionError({
      call,
      expects: 'an array with a channel dimension (C)',
      got: describe(X),
      remedy: X.dims === '' ? 'Label it with dlarray(X, format) or give dataFormat.' : 'Label the channel dimension C.',
    })
  const batch = X.dims.indexOf('B')
  const rest = channel + (batch < 0 ? 1 : 2)
  return {
    inner: numel(X.size.slice(0, channel)),
    channels: X.size[channel]!,
    observations: batch < 0 ? 1 : X.size[batch]!,
    outer: numel(X.size.slice(rest)),
  }
}

/** Throws a {@link DimensionError} unless a parameter has one element per channel, along one dimension (C if labelled). */
export function checkPerChannel(
  parameter: ArrayInfo,
  name: string,
  channels: number,
  X: ArrayInfo,
  call: string,
): void {
  const count = numel(parameter.size)
  const along = parameter.size.findIndex((extent) => extent !== 1)
  const spread = parameter.size.filter((extent) => extent !== 1).length > 1
  const mislabelled = along >= 0 && parameter.dims !== '' && parameter.dims[along] !== 'C'
  if (count !== channels || spread || mislabelled)
    throw new DimensionError({
      call,
      expects: `${name} with one element for each of the ${channels} channels`,
      got: `${describe(parameter)} for X of ${describe(X)}`,
      remedy: `Give ${name} ${channels} elements along ${parameter.dims === '' ? 'one dimension' : 'C'}.`,
    })
}
