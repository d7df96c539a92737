import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { type Peer, type Prepared, Unsupported } from '../peer.js'
import {
  channelsFirst,
  channelsLast,
  channelsOf,
  convolutionSizes,
  EPSILON,
  inputsOf,
  networkShape,
  rowMajorSize,
  type Task,
} from '../task.js'

// The part of TensorFlow.js that is used here.

interface Tensor {
  add(other: Tensor | number): Tensor
  sub(other: Tensor): Tensor
  mul(other: Tensor): Tensor
  rsqrt(): Tensor
  relu(): Tensor
  sum(): Tensor
  softmax(): Tensor
  reshape(size: readonly number[]): Tensor
  data(): Promise<Float32Array>
  dispose(): void
}
type Four = [number, number, number, number]
interface Tf {
  readonly version_core: string
  setBackend(name: string): Promise<boolean>
  ready(): Promise<void>
  tensor(values: Float32Array, size: readonly number[]): Tensor
  tidy<T>(compute: () => T): T
  dispose(tensors: object): void
  moments(x: Tensor, axes: readonly number[], keepDims: boolean): { mean: Tensor; variance: Tensor }
  matMul(a: Tensor, b: Tensor): Tensor
  conv2d(x: Tensor, filter: Tensor, strides: number, padding: number | 'valid'): Tensor
  conv2dTranspose(x: Tensor, filter: Tensor, size: Four, strides: number, padding: number | 'valid'): Tensor
  maxPool(x: Tensor, filter: number, strides: number, padding: 'valid'): Tensor
  grads(compute: (...inputs: Tensor[]) => Tensor): (inputs: Tensor[]) => Tensor[]
}
interface TfWasm {
  setWasmPaths(folder: string): void
  setThreadsCount(threads: number): void
  getThreadsCount(): number
}

const core: string = '@tensorflow/tfjs-core'
const wasm: string = '@tensorflow/tfjs-backend-wasm'

export async function start(threads: number): Promise<Peer> {
  const require = createRequire(import.meta.url)
  const tf = require(core) as Tf
  // Its chained methods and its gradients are modules of their own.
  require(`${core}/dist/public/chained_ops/register_all_chained_ops`)
  require(`${core}/dist/register_all_gradients`)
  const backend = require(wasm) as TfWasm
  backend.setWasmPaths(`${dirname(require.resolve(wasm))}/`)
  backend.setThreadsCount(threads)
  if (!(await tf.setBackend('wasm'))) throw new Error('the WebAssembly backend does not start')
  await tf.ready()
  // In Node this backend is built to run on one thread; it counts the others only once they run.
  let running = 1
  try {
    running = backend.getThreadsCount()
  } catch {}
  return { version: `tfjs-wasm ${tf.version_core}`, threads: running, prepare: async (task) => prepare(tf, task) }
}

function prepare(tf: Tf, task: Task): Prepared {
  switch (task.kind) {
    case 'instancenorm':
      return prepareInstancenorm(tf, task)
    case 'matmul': {
      const { a, b } = inputsOf(task)
      const size = [task.extent, task.extent]
      const [A, B] = [tf.tensor(a!, size), tf.tensor(b!, size)]
      return computing(tf, () => ({ c: tf.matMul(A, B) }))
    }
    case 'convolution':
      return prepareConvolution(tf, task)
    case 'style':
      throw new Unsupported('does not read ONNX')
    case 'epoch':
      throw new Unsupported('a training step is in the row network-train')
    case 'network':
      return prepareNetwork(tf, task)
  }
}

function computing(
  tf: Tf,
  compute: () => Record<string, Tensor>,
  order: (values: Float32Array) => Float32Array = (values) => values,
): Prepared {
  return {
    run: () => tf.dispose(tf.tidy(compute)),
    async outputs() {
      const outputs = tf.tidy(compute)
      const entries = Object.entries(outputs).map(async ([name, tensor]) => [name, order(await tensor.data())] as const)
      const values = Object.fromEntries(await Promise.all(entries))
      tf.dispose(outputs)
      return values
    },
  }
}

/** It has no instance normalization: two passes over x, the statistics' arithmetic on small tensors. */
function normalized(tf: Tf, x: Tensor, scale: Tensor, offset: Tensor, axes: readonly number[]): Tensor {
  const { mean, variance } = tf.moments(x, axes, true)
  const factor = variance.add(EPSILON).rsqrt().mul(scale)
  return x.mul(factor).add(offset.sub(mean.mul(factor)))
}

function prepareInstancenorm(tf: Tf, task: Task & { kind: 'instancenorm' }): Prepared {
  const size = rowMajorSize(task)
  if (!size || size.length < 3 || size.length > 4) throw new Unsupported('no such format')
  const inputs = inputsOf(task)
  const perChannel = [1, channelsOf(task), ...size.slice(2).map(() => 1)]
  const axes = size.map((_, axis) => axis).slice(2)
  const x = tf.tensor(inputs.x!, size)
  const scale = tf.tensor(inputs.scale!, perChannel)
  const offset = tf.tensor(inputs.offset!, perChannel)
  if (task.pass === 'forward') return computing(tf, () => ({ y: normalized(tf, x, scale, offset, axes) }))
  if (task.pass === 'backward') throw new Unsupported('keeps nothing between passes')
  const dy = tf.tensor(inputs.dy!, size)
  const gradients = tf.grads((x, scale, offset) => normalized(tf, x!, scale!, offset!, axes).mul(dy).sum())
  return computing(tf, () => {
    const [dx, dscale, doffset] = gradients([x, scale, offset])
    return { dx: dx!, dscale: dscale!, doffset: doffset! }
  })
}

/** O I H W as H W I O. */
function filterTensor(tf: Tf, values: Float32Array, [o, i, h, w]: Four): Tensor {
  const rows = channelsLast(values, [1, o * i, h, w])
  const result = new Float32Array(values.length)
  for (let tap = 0; tap < h * w; tap++)
    for (let a = 0; a < o; a++) for (let b = 0; b < i; b++) result[(tap * i + b) * o + a] = rows[(tap * o + a) * i + b]!
  return tf.tensor(result, [h, w, i, o])
}

function prepareConvolution(tf: Tf, task: Task & { kind: 'convolution' }): Prepared {
  const { pass, padding } = task
  const { x, weights, y, stride, groups, transposed } = convolutionSizes(task)
  if (pass === 'filterGradient') throw new Unsupported('no filter gradient')
  if (stride.length !== 2) throw new Unsupported('two dimensions only')
  if (groups > 1) throw new Unsupported('no groups')
  const inputs = inputsOf(task)
  const filter = filterTensor(tf, inputs.weights!, weights as Four)
  const tensor = (values: Float32Array, size: readonly number[]) =>
    tf.tensor(channelsLast(values, size as Four), lastChannels(size))
  const convolve = (image: Tensor, result: readonly number[], adjoint: boolean) =>
    adjoint
      ? tf.conv2dTranspose(image, filter, lastChannels(result), stride[0]!, padding)
      : tf.conv2d(image, filter, stride[0]!, padding)
  const [input, size] = pass === 'forward' ? [tensor(inputs.x!, x), y] : [tensor(inputs.dy!, y), x]
  const inOrder = (values: Float32Array) => channelsFirst(values, size as Four)
  if (pass === 'inputGradient') return computing(tf, () => ({ dx: convolve(input, size, !transposed) }), inOrder)
  const bias = tf.tensor(inputs.bias!, [task.filters])
  return computing(tf, () => ({ y: convolve(input, size, transposed).add(bias) }), inOrder)
}

/** N C H W as N H W C. */
function lastChannels([n, c, h, w]: readonly number[]): Four {
  return [n!, h!, w!, c!]
}

function prepareNetwork(tf: Tf, task: Task & { kind: 'network' }): Prepared {
  if (task.pass === 'train') throw new Unsupported('no filter gradient')
  const { extent, channels, filters, filterExtent, pooled, classes } = networkShape(task)
  const inputs = inputsOf(task)
  const x = tf.tensor(channelsLast(inputs.x!, [task.batch, channels, extent, extent]), [
    task.batch,
    extent,
    extent,
    channels,
  ])
  const filter = filterTensor(tf, inputs.weights!, [filters, channels, filterExtent, filterExtent])
  const vector = (values: Float32Array) => tf.tensor(values, [values.length])
  const bias = vector(inputs.bias!)
  const scale = vector(inputs.scale!)
  const offset = vector(inputs.offset!)
  // Its features lie with channels last.
  const features = filters * pooled ** 2
  const byPosition = channelsLast(inputs.fullWeights!, [classes, filters, pooled, pooled])
  const fullWeights = tf.tensor(channelsLast(byPosition, [1, classes, features, 1]), [features, classes])
  const fullBias = vector(inputs.fullBias!)
  return computing(tf, () => {
    const convolved = tf.conv2d(x, filter, 1, 'valid').add(bias)
    const rectified = normalized(tf, convolved, scale, offset, [1, 2]).relu()
    const flat = tf.maxPool(rectified, 2, 2, 'valid').reshape([task.batch, features])
    return { scores: tf.matMul(flat, fullWeights).add(fullBias).softmax() }
  })
}
