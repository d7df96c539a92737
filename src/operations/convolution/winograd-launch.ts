import type { WasmBackend } from '../../backends/wasm/backend.js'
import { type Addresses, forwards, type ImplicitProduct } from '../products/implicit-product.js'
import { filterFields, type GradientAddresses } from './convolution-fields.js'
import { type ConvolutionGeometry, inDimensions, negative } from './convolution-geometry.js'

// Launches the kernels of kernels/convolution/winograd.ts: 3 by 3 filters with a quarter of the multiplications.

const POINTS = 36
const BLOCK_GROUPS = 24
/** Bytes of one of the 36 points of a block, in one channel. */
const POINT_BYTES = 4 * 96
/** Transformed images and products are made for as many blocks at a time as this holds, so that they stay in the cache. */
const MOST_BYTES = 2 ** 24
/** The same for transformed images alone, where products stay in the working memory of a thread. */
const MOST_IMAGE_BYTES = 2 ** 21
/** Work items that share themselves out among a few threads; for these, images may leave the cache of one. */
const ENOUGH_ITEMS = 4
/** Filters per work item. */
const MOST_PART = 32
/** Tiles cut into blocks of almost equal sizes. */
function blocksOf(tileGroups: number): { blocks: number; blockGroups: number } {
  const blockGroups = 2 * Math.ceil(tileGroups / Math.ceil(tileGroups / BLOCK_GROUPS) / 2)
  return { blocks: Math.ceil(tileGroups / blockGroups), blockGroups }
}

export function launchWinograd(wasm: WasmBackend, at: Addresses, product: ImplicitProduct): void {
  const p = forwards(product)
  const [height, width, tilesD] = p.positions
  const tapsD = p.taps[2]
  const terms = p.channels * tapsD
  const tilesH = Math.ceil(height / 16)
  const tilesW = Math.ceil(width / 4)
  const tileGroups = tilesH * tilesW * tilesD * p.observations
  const { blocks, blockGroups } = blocksOf(tileGroups)
  const panels = Math.ceil(p.filters / 4)
  const parts = Math.ceil(p.filters / MOST_PART)
  const part = 4 * Math.ceil(panels / parts)
  const imageBytes = POINTS * POINT_BYTES * terms * p.groups
  const filterBytes = POINTS * (16 * panels * terms + 64) * p.groups
  const fitting = Math.floor(MOST_IMAGE_BYTES / imageBytes)
  const together = Math.min(blocks, Math.max(fitting, Math.ceil(ENOUGH_ITEMS / (parts * p.groups))))
  wasm.withTemporary(filterBytes + together * imageBytes, (transformed) => {
    const image = transformed + filterBytes
    wasm.launch(
      'winogradFilters',
      { transformed, ...filterFields(at, p) },
      { items: panels * p.groups, grain: Math.max(1, Math.ceil(64 / terms)) },
    )
    for (let firstBlock = 0; firstBlock < blocks; firstBlock += together) {
      const here = Math.min(together, blocks - firstBlock)
      wasm.launch(
        'winogradImage',
        {
          x: at.X,
          transformed: image,
          observations: p.observations,
          planes: p.channels * p.groups,
          channels: p.channels,
          tapsD,
          height: p.source[0],
          width: p.source[1],
          depth: p.source[2],
          tilesH,
          tilesW,
          tilesD,
          stepD: p.step[2],
          spacingD: p.spacing[2],
          ...inDimensions('offset', p.offset),
          blockGroups,
          firstBlock,
        },
        { items: here * terms * p.groups },
      )
      wasm.launch(
        'winogradConvolve',
        {
          image,
          transformed,
          bias: at.bias,
          y: at.Y,
          observations: p.observations,
          terms,
          filters: p.filters,
          groups: p.groups,
          height,
          width,
          tilesH,
          tilesW,
          tilesD,
          firstY: p.first,
          strideWY: p.strides[1],
          strideDY: p.strides[2],
          planeY: p.plane,
          blockGroups,
          firstBlock,
          part,
        },
        { items: here * Math.ceil((4 * panels) / part) * p.groups },
      )
    }
  })
}

/** dWeights = gradient of the convolution of X for its weights, where dY is the gradient of its output. */
export function launchWinogradFilterGradient(wasm: WasmBackend, g: ConvolutionGeometry, at: GradientAddresses): void {
  const { channels, filters, groups, observations } = g
  const [height, width, tilesD] = g.output
  const tapsD = g.taps[2]
  const terms = channels * tapsD
  const tilesH = Math.ceil(height / 16)
  const tilesW = Math.ceil(width / 4)
  const tileGroups = tilesH * tilesW * tilesD * observations
  const blocks = Math.ceil(tileGroups / BLOCK_GROUPS)
  const imageBytes = POINTS * POINT_BYTES * terms * groups
  const outputBytes = POINTS * POINT_BYTES * filters * groups
  const productBytes = POINTS * groups * 2 * Math.ceil(filters / 2) * 16 * Math.ceil(terms / 4)
  const together = Math.max(1, Math.min(blocks, Math.floor(MOST_BYTES / (imageBytes + outputBytes))))
  // Tiles of 4 by 2 lines may read up to 3 lines beyond the last.
  const spare = 4 * POINT_BYTES
  wasm.withTemporary(productBytes + together * (imageBytes + outputBytes) + 2 * spare, (products) => {
    const image = products + productBytes
    const output = image + together * imageBytes + spare
    for (let firstBlock = 0; firstBlock < blocks; firstBlock += together) {
      const here = Math.min(together, blocks - firstBlock)
      const tiles = { observations, tilesH, tilesW, tilesD, firstBlock }
      wasm.launch(
        'winogradImage',
        {
          x: at.X,
          transformed: image,
          planes: channels * groups,
          channels,
          tapsD,
          height: g.image[0],
          width: g.image[1],
          depth: g.image[2],
          stepD: g.stride[2],
          spacingD: g.dilation[2],
          ...inDimensions('offset', negative(g.before)),
          blockGroups: BLOCK_GROUPS,
          ...tiles,
        },
        { items: here * terms * groups },
      )
      wasm.launch(
        'winogradOutputGradient',
        {
          dy: at.dY,
          transformed: output,
          planes: filters * groups,
          filters,
          height,
          width,
          ...tiles,
        },
        { items: here * filters * groups },
      )
      wasm.launch(
        'winogradGradientProduct',
        {
          image,
          output,
          products,
          terms,
          filters,
          groups,
          tiles: 4 * Math.min(here * BLOCK_GROUPS, tileGroups - firstBlock * BLOCK_GROUPS),
          accumulate: firstBlock === 0 ? 0 : 1,
        },
        { items: POINTS * groups, grain: 1 },
      )
    }
    wasm.launch(
      'winogradFilterGradient',
      { products, gradient: at.dWeights, terms, filters, groups },
      { items: filters * groups, grain: Math.max(1, Math.ceil(256 / terms)) },
    )
  })
}
