import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import { relabelOperation } from '../operations/arrays/relabel.js'
import { avgpool, maxpool } from '../operations/pooling/maxpool.js'
import type { Layer, LayerOptions } from './layer.js'
import { defineLayer, type LayerKind } from './layer-kind.js'
import type { NameValuePairs } from './property.js'
import { type Rank, windowedInput } from './windows.js'

/** What the global pooling layers are. */
export interface GlobalPoolingLayer extends Layer {}

/** The result: extents of 1 where it was pooled; a time dimension that was pooled is gone. */
function pooledInfo(X: ArrayInfo, over: string): ArrayInfo {
  const kept = [...X.dims].flatMap((name, d) => (name === 'T' && over.includes('T') ? [] : [d]))
  return {
    size: kept.map((d) => (over.includes(X.dims[d]!) ? 1 : X.size[d]!)),
    dims: kept.map((d) => X.dims[d]).join(''),
    type: X.type === 'logical' ? 'single' : X.type,
  }
}

function globalPoolingKind(
  word: 'Max' | 'Average',
  rank: Rank,
  defaultName: string,
  pool: (X: DlArray, over: string) => DlArray,
): LayerKind<GlobalPoolingLayer> {
  const functionName = `global${word}Pooling${rank}dLayer`
  return defineLayer<GlobalPoolingLayer>({
    functionName,
    className: `Global${word}Pooling${rank}DLayer`,
    typeName: `${rank}-D Global ${word} Pooling`,
    defaultName,
    description: () => `${rank}-D global ${word.toLowerCase()} pooling`,
    properties: [],
    display: () => [{ properties: ['name'] }],
    output: (_, [X]) => [pooledInfo(X!, windowedInput(X!, rank, functionName).over)],
    block: () => ({
      step: 'pooling',
      rank,
      options: { pooling: word === 'Max' ? 'max' : 'average', poolSize: 'global' },
    }),
    compute(_, [X]) {
      const info = { size: X!.size, dims: X!.dims as string, type: X!.underlyingType }
      const { over } = windowedInput(info, rank, functionName)
      const { size, dims } = pooledInfo(info, over)
      // operations do not take the two S of SSCBT together with its T
      const stages = over === 'SST' ? ['SS', 'T'] : [over]
      const Y = stages.reduce((array, format) => pool(array, format), X!)
      return [relabelOperation.run({ X: Y }, { size, dims })]
    },
  })
}

const average = (X: DlArray, over: string) => avgpool(X, 'global', { poolFormat: over })
const maximum = (X: DlArray, over: string) => maxpool(X, 'global', { poolFormat: over })

const average1d = globalPoolingKind('Average', 1, 'gapool1d', average)
const average2d = globalPoolingKind('Average', 2, 'gapool', average)
const average3d = globalPoolingKind('Average', 3, 'gapool3d', average)
const max1d = globalPoolingKind('Max', 1, 'gmpool1d', maximum)
const max2d = globalPoolingKind('Max', 2, 'gmpool', maximum)
const max3d = globalPoolingKind('Max', 3, 'gmpool3d', maximum)

/**
 * Layer that takes the average of each channel of each observation over the S of `SCB`, which becomes 1, or over the T of `CBT`,
 * which goes. Option: `name`. Source: MATLAB, `globalAveragePooling1dLayer`.
 */
export function globalAveragePooling1dLayer(options?: LayerOptions): GlobalPoolingLayer
export function globalAveragePooling1dLayer(...pairs: NameValuePairs): GlobalPoolingLayer
export function globalAveragePooling1dLayer(...given: unknown[]): GlobalPoolingLayer {
  return average1d.create(given)
}

/**
 * Layer that takes the average of each channel of each observation over the S of `SSCB` and `SSCBT`, which become 1, or over the
 * S and T of `SCBT`, whose T goes. Option: `name`. Source: MATLAB, `globalAveragePooling2dLayer`.
 */
export function globalAveragePooling2dLayer(options?: LayerOptions): GlobalPoolingLayer
export function globalAveragePooling2dLayer(...pairs: NameValuePairs): GlobalPoolingLayer
export function globalAveragePooling2dLayer(...given: unknown[]): GlobalPoolingLayer {
  return average2d.create(given)
}

/**
 * Layer that takes the average of each channel of each observation over the S of `SSSCB`, which become 1, or over the S and T of
 * `SSCBT`, whose T goes. Option: `name`. Source: MATLAB, `globalAveragePooling3dLayer`.
 */
export function globalAveragePooling3dLayer(options?: LayerOptions): GlobalPoolingLayer
export function globalAveragePooling3dLayer(...pairs: NameValuePairs): GlobalPoolingLayer
export function globalAveragePooling3dLayer(...given: unknown[]): GlobalPoolingLayer {
  return average3d.create(given)
}

/** Layer that takes the maximum instead; as {@link globalAveragePooling1dLayer}. Source: MATLAB, `globalMaxPooling1dLayer`. */
export function globalMaxPooling1dLayer(options?: LayerOptions): GlobalPoolingLayer
export function globalMaxPooling1dLayer(...pairs: NameValuePairs): GlobalPoolingLayer
export function globalMaxPooling1dLayer(...given: unknown[]): GlobalPoolingLayer {
  return max1d.create(given)
}

/** Layer that takes the maximum instead; as {@link globalAveragePooling2dLayer}. Source: MATLAB, `globalMaxPooling2dLayer`. */
export function globalMaxPooling2dLayer(options?: LayerOptions): GlobalPoolingLayer
export function globalMaxPooling2dLayer(...pairs: NameValuePairs): GlobalPoolingLayer
export function globalMaxPooling2dLayer(...given: unknown[]): GlobalPoolingLayer {
  return max2d.create(given)
}

/** Layer that takes the maximum instead; as {@link globalAveragePooling3dLayer}. Source: MATLAB, `globalMaxPooling3dLayer`. */
export function globalMaxPooling3dLayer(options?: LayerOptions): GlobalPoolingLayer
export function globalMaxPooling3dLayer(...pairs: NameValuePairs): GlobalPoolingLayer
export function globalMaxPooling3dLayer(...given: unknown[]): GlobalPoolingLayer {
  return max3d.create(given)
}

export const globalPoolingKinds = [average1d, average2d, average3d, max1d, max2d, max3d]
