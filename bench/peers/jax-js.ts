import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type Peer, type Prepared, Unsupported } from '../peer.js'
import {
  channelsOf,
  convolutionSizes,
  EPSILON,
  inputsOf,
  networkShape,
  oneHot,
  rowMajorSize,
  SOLVER,
  type Task,
  TRAINING_STEPS,
} from '../task.js'

// The part of jax-js that is used here. Every call consumes its arguments; `ref` keeps one.

interface JaxArray {
  readonly ref: JaxArray
  add(other: JaxArray | number): JaxArray
  sub(other: JaxArray): JaxArray
  mul(other: JaxArray | number): JaxArray
  reshape(size: readonly number[]): JaxArray
  data(): Promise<Float32Array>
  blockUntilReady(): Promise<JaxArray>
  dispose(): void
}
type Compute = (...inputs: JaxArray[]) => JaxArray | JaxArray[]
interface Jax {
  readonly numpy: {
    array(values: Float32Array, options: { shape: readonly number[] }): JaxArray
    mean(x: JaxArray, axes: readonly number[], options: { keepdims: boolean }): JaxArray
    max(x: JaxArray, axes: readonly number[]): JaxArray
    sum(x: JaxArray): JaxArray
    square(x: JaxArray): JaxArray
    sqrt(x: JaxArray): JaxArray
    reciprocal(x: JaxArray): JaxArray
    matmul(a: JaxArray, b: JaxArray): JaxArray
    matrixTranspose(x: JaxArray): JaxArray
  }
  readonly nn: {
    relu(x: JaxArray): JaxArray
    softmax(x: JaxArray, axis: number): JaxArray
    logSoftmax(x: JaxArray, axis: number): JaxArray
  }
  readonly lax: {
    convGeneralDilated(
      x: JaxArray,
      filter: JaxArray,
      strides: number[],
      padding: [number, number][],
      options?: { featureGroupCount: number },
    ): JaxArray
  }
  init(device: 'wasm'): Promise<string[]>
  defaultDevice(device: 'wasm'): unknown
  jit(compute: Compute): (...inputs: JaxArray[]) => JaxArray | JaxArray[]
  grad(compute: Compute, options: { argnums: number | number[] }): Compute
  valueAndGrad(compute: Compute, options: { argnums: number[] }): (...inputs: JaxArray[]) => [JaxArray, JaxArray[]]
}

const name: string = '@jax-js/jax'

export async function start(threads: number): Promise<Peer> {
  const jax = (await import(name)) as Jax
  await jax.init('wasm')
  jax.defaultDevice('wasm')
  const manifest = join(dirname(createRequire(import.meta.url).resolve(name)), '../package.json')
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  // Its threads are Web Workers, which not every Node has.
  const running = 'Worker' in globalThis ? threads : 1
  return { version: `jax-js ${version}`, threads: running, prepare: async (task) => prepare(jax, task) }
}

function listOf(result: JaxArray | JaxArray[]): JaxArray[] {
  return Array.isArray(result) ? result : [result]
}

/** Work compiled by `jit`, called with the same inputs every time. */
function compiled(jax: Jax, names: readonly string[], inputs: readonly JaxArray[], compute: Compute): Prepared {
  const call = jax.jit(compute)
  const results = () => listOf(call(...inputs.map((input) => input.ref)))
  return {
    async run() {
      const outputs = results()
      for (const output of outputs) await output.blockUntilReady()
      for (const output of outputs) output.dispose()
    },
    async outputs() {
      const entries = results().map(async (output, i) => [names[i]!, await output.data()] as const)
      return Object.fromEntries(await Promise.all(entries))
    },
    release() {
      for (const input of inputs) input.dispose()
    },
  }
}

function prepare(jax: Jax, task: Task): Prepared {
  const { numpy: np } = jax
  const given = inputsOf(task)
  const array = (input: string, shape: readonly number[]) => np.array(given[input]!, { shape })
  switch (task.kind) {
    case 'instancenorm': {
      const size = rowMajorSize(task)
      if (!size || size.length < 3) throw new Unsupported('no such format')
      const perChannel = [1, channelsOf(task), ...size.slice(2).map(() => 1)]
      const axes = size.map((_, axis) => axis).slice(2)
      const inputs = [array('x', size), array('scale', perChannel), array('offset', perChannel)]
      const forward = (x: JaxArray, scale: JaxArray, offset: JaxArray) => normalized(jax, x, scale, offset, axes)
      if (task.pass === 'forward') return compiled(jax, ['y'], inputs, forward as Compute)
      if (task.pass === 'backward') throw new Unsupported('keeps nothing between passes')
      const loss = ((x, scale, offset, dy) => np.sum(forward(x!, scale!, offset!).mul(dy!))) as Compute
      const gradients = jax.grad(loss, { argnums: [0, 1, 2] })
      return compiled(jax, ['dx', 'dscale', 'doffset'], [...inputs, array('dy', size)], gradients)
    }
    case 'matmul': {
      const size = [task.extent, task.extent]
      return compiled(jax, ['c'], [array('a', size), array('b', size)], (a, b) => np.matmul(a!, b!))
    }
    case 'convolution': {
      const { pass, filters } = task
      const { stride, padding, groups, transposed, ...sizes } = convolutionSizes(task)
      if (transposed) throw new Unsupported('no adjoint as a layer')
      const x = array('x', sizes.x)
      const weights = array('weights', sizes.weights)
      const edges = padding.map((zeros): [number, number] => [zeros, zeros])
      const convolved = (x: JaxArray, filter: JaxArray) =>
        jax.lax.convGeneralDilated(x, filter, stride, edges, { featureGroupCount: groups })
      if (pass === 'forward') {
        const bias = array('bias', [1, filters, ...stride.map(() => 1)])
        return compiled(jax, ['y'], [x, weights, bias], (x, filter, bias) => convolved(x!, filter!).add(bias!))
      }
      const dy = array('dy', sizes.y)
      const loss: Compute = (x, filter, dy) => np.sum(convolved(x!, filter!).mul(dy!))
      const [output, argnums] = pass === 'inputGradient' ? (['dx', 0] as const) : (['dweights', 1] as const)
      return compiled(jax, [output], [x, weights, dy], jax.grad(loss, { argnums }))
    }
    case 'style':
      throw new Unsupported('does not read ONNX')
    case 'epoch':
      throw new Unsupported('a training step is in the row network-train')
    case 'network':
      return prepareNetwork(jax, task)
  }
}

function normalized({ numpy: np }: Jax, x: JaxArray, scale: JaxArray, offset: JaxArray, axes: readonly number[]) {
  const mean = np.mean(x.ref, axes, { keepdims: true })
  const centred = x.sub(mean)
  const variance = np.mean(np.square(centred.ref), axes, { keepdims: true })
  const factor = np.reciprocal(np.sqrt(variance.add(EPSILON))).mul(scale)
  return centred.mul(factor).add(offset)
}

function prepareNetwork(jax: Jax, task: Task & { kind: 'network' }): Prepared {
  const { numpy: np, nn, lax } = jax
  const { extent, channels, filters, filterExtent, pooled, classes } = networkShape(task)
  const { batch } = task
  const features = filters * pooled ** 2
  const given = inputsOf(task)
  const array = (values: Float32Array, shape: readonly number[]) => np.array(values, { shape })
  const x = array(given.x!, [batch, channels, extent, extent])
  const startValues = () => [
    array(given.weights!, [filters, channels, filterExtent, filterExtent]),
    array(given.bias!, [1, filters, 1, 1]),
    array(given.scale!, [1, filters, 1, 1]),
    array(given.offset!, [1, filters, 1, 1]),
    array(given.fullWeights!, [classes, features]),
    array(given.fullBias!, [classes]),
  ]
  const decays = [SOLVER.decay, 0, SOLVER.decay, SOLVER.decay, SOLVER.decay, 0]
  const raw = (x: JaxArray, [weights, bias, scale, offset, fullWeights, fullBias]: JaxArray[]) => {
    const convolved = lax
      .convGeneralDilated(
        x,
        weights!,
        [1, 1],
        [
          [0, 0],
          [0, 0],
        ],
      )
      .add(bias!)
    const rectified = nn.relu(normalized(jax, convolved, scale!, offset!, [2, 3]))
    const windows = np.max(rectified.reshape([batch, filters, pooled, 2, pooled, 2]), [3, 5])
    return np.matmul(windows.reshape([batch, features]), np.matrixTranspose(fullWeights!)).add(fullBias!)
  }
  if (task.pass === 'predict')
    return compiled(jax, ['scores'], [x, ...startValues()], (x, ...parameters) => nn.softmax(raw(x!, parameters), 1))

  const t = array(oneHot(given.labels!, classes), [batch, classes])
  const count = decays.length
  const loss: Compute = (x, t, ...parameters) => np.sum(nn.logSoftmax(raw(x!, parameters), 1).mul(t!)).mul(-1 / batch)
  const withGradients = jax.valueAndGrad(loss, { argnums: decays.map((_, i) => i + 2) })
  // x, t, parameters, velocities -> loss, parameters, velocities
  const step = jax.jit((x, t, ...rest) => {
    const parameters = rest.slice(0, count)
    const velocities = rest.slice(count)
    const [value, gradients] = withGradients(x!, t!, ...parameters.map((parameter) => parameter.ref))
    const faster = velocities.map((velocity, i) => {
      const gradient = gradients[i]!.add(parameters[i]!.ref.mul(decays[i]!))
      return velocity.mul(SOLVER.momentum).sub(gradient.mul(SOLVER.learnRate))
    })
    return [value, ...parameters.map((parameter, i) => parameter.add(faster[i]!.ref)), ...faster]
  })
  const start = () => [...startValues(), ...startValues().map((value) => value.mul(0))]
  let values = start()
  const advance = async (): Promise<number> => {
    const [value, ...next] = listOf(step(x.ref, t.ref, ...values))
    values = next
    const number = (await value!.data())[0]!
    for (const one of values) await one.blockUntilReady()
    return number
  }
  return {
    run: advance,
    async outputs() {
      const losses: number[] = []
      for (let i = 0; i < TRAINING_STEPS; i++) losses.push(await advance())
      const weights = await values[0]!.ref.data()
      for (const value of values) value.dispose()
      values = start()
      return { loss: Float32Array.from(losses), weights }
    },
  }
}
