// ONNX models of the tasks, written as protobuf bytes. Only what these models need of the format.
// Source of field numbers: onnx.proto of ONNX 1.16.

import {
  convolutionSizes,
  EPSILON,
  networkShape,
  readStyleFile,
  rowMajorSize,
  stylePicture,
  type Task,
} from '../task.js'

const VARINT = 0
const BYTES = 2
const FIXED32 = 5

const FLOAT = 1
const OPSET = 17
const IR_VERSION = 8

function varint(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest]
    bytes.push((rest % 128) + 128)
  }
}

type Part = Uint8Array

function join(parts: readonly Part[]): Part {
  const result = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    result.set(part, at)
    at += part.length
  }
  return result
}

function integer(field: number, value: number): Part {
  return Uint8Array.from([...varint(8 * field + VARINT), ...varint(value)])
}

function float(field: number, value: number): Part {
  return join([Uint8Array.from(varint(8 * field + FIXED32)), new Uint8Array(Float32Array.of(value).buffer)])
}

function bytes(field: number, content: Part): Part {
  return join([Uint8Array.from([...varint(8 * field + BYTES), ...varint(content.length)]), content])
}

function text(field: number, content: string): Part {
  return bytes(field, new TextEncoder().encode(content))
}

function message(field: number, ...parts: readonly Part[]): Part {
  return bytes(field, join(parts))
}

const ATTRIBUTE_TYPE = { float: 1, integer: 2, integers: 7 }

function attribute(name: string, value: number | readonly number[], type: keyof typeof ATTRIBUTE_TYPE): Part {
  const content =
    type === 'float'
      ? [float(2, value as number)]
      : type === 'integer'
        ? [integer(3, value as number)]
        : (value as readonly number[]).map((one) => integer(8, one))
  return message(5, text(1, name), ...content, integer(20, ATTRIBUTE_TYPE[type]))
}

function node(type: string, inputs: readonly string[], output: string, ...attributes: readonly Part[]): Part {
  return message(1, ...inputs.map((input) => text(1, input)), text(2, output), text(4, type), ...attributes)
}

function constant(name: string, size: readonly number[], values: Float32Array): Part {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return message(5, ...size.map((extent) => integer(1, extent)), integer(2, FLOAT), text(8, name), bytes(9, raw))
}

/** An input (field 11) or output (field 12) of the graph. */
function port(field: number, name: string, size: readonly number[]): Part {
  const shape = message(2, ...size.map((extent) => message(1, integer(1, extent))))
  return message(field, text(1, name), message(2, message(1, integer(1, FLOAT), shape)))
}

export interface OnnxModel {
  readonly bytes: Uint8Array
  readonly inputs: Readonly<Record<string, { readonly size: readonly number[]; readonly values: Float32Array }>>
  /** By name: how the output is called in the comparison, and its size. */
  readonly output: { readonly name: string; readonly size: readonly number[] }
}

/** The model of a task; undefined for what ONNX has no operator for. */
export function onnxModel(task: Task, given: Readonly<Record<string, Float32Array>>): OnnxModel | undefined {
  switch (task.kind) {
    case 'instancenorm': {
      const size = rowMajorSize(task)
      if (!size || size.length < 3 || task.pass !== 'forward') return undefined
      const { x, scale, offset } = given
      const parameters = [constant('scale', [size[1]!], scale!), constant('offset', [size[1]!], offset!)]
      const nodes = [
        node('InstanceNormalization', ['x', 'scale', 'offset'], 'y', attribute('epsilon', EPSILON, 'float')),
      ]
      return model(nodes, parameters, { x: { size, values: x! } }, { name: 'y', size })
    }
    case 'matmul': {
      const size = [task.extent, task.extent]
      const inputs = { a: { size, values: given.a! }, b: { size, values: given.b! } }
      return model([node('MatMul', ['a', 'b'], 'c')], [], inputs, { name: 'c', size })
    }
    case 'convolution': {
      if (task.pass !== 'forward') return undefined
      const { x, weights, y, stride, padding, groups, transposed } = convolutionSizes(task)
      const parameters = [constant('weights', weights, given.weights!), constant('bias', [task.filters], given.bias!)]
      const convolution = node(
        transposed ? 'ConvTranspose' : 'Conv',
        ['x', 'weights', 'bias'],
        'y',
        attribute('pads', [...padding, ...padding], 'integers'),
        attribute('strides', stride, 'integers'),
        attribute('group', groups, 'integer'),
      )
      return model([convolution], parameters, { x: { size: x, values: given.x! } }, { name: 'y', size: y })
    }
    case 'style': {
      const { width, height } = stylePicture(task)
      const size = [1, 3, height, width]
      return {
        bytes: readStyleFile(task.model),
        inputs: { image: { size, values: given.image! } },
        output: { name: 'stylized', size },
      }
    }
    case 'epoch':
      return undefined
    case 'network':
      return task.pass === 'predict' ? networkModel(task, given) : undefined
  }
}

function networkModel(task: Task & { kind: 'network' }, given: Readonly<Record<string, Float32Array>>): OnnxModel {
  const { batch } = task
  const { extent, channels, filters, filterExtent, pooled, classes } = networkShape(task)
  const nodes = [
    node('Conv', ['x', 'weights', 'bias'], 'convolved'),
    node(
      'InstanceNormalization',
      ['convolved', 'scale', 'offset'],
      'normalized',
      attribute('epsilon', EPSILON, 'float'),
    ),
    node('Relu', ['normalized'], 'rectified'),
    node(
      'MaxPool',
      ['rectified'],
      'pooled',
      attribute('kernel_shape', [2, 2], 'integers'),
      attribute('strides', [2, 2], 'integers'),
    ),
    node('Flatten', ['pooled'], 'flat'),
    node('Gemm', ['flat', 'fullWeights', 'fullBias'], 'raw', attribute('transB', 1, 'integer')),
    node('Softmax', ['raw'], 'scores', attribute('axis', 1, 'integer')),
  ]
  const parameters = [
    constant('weights', [filters, channels, filterExtent, filterExtent], given.weights!),
    constant('bias', [filters], given.bias!),
    constant('scale', [filters], given.scale!),
    constant('offset', [filters], given.offset!),
    constant('fullWeights', [classes, filters * pooled ** 2], given.fullWeights!),
    constant('fullBias', [classes], given.fullBias!),
  ]
  const inputs = { x: { size: [batch, channels, extent, extent], values: given.x! } }
  return model(nodes, parameters, inputs, { name: 'scores', size: [batch, classes] })
}

function model(
  nodes: readonly Part[],
  constants: readonly Part[],
  inputs: OnnxModel['inputs'],
  output: OnnxModel['output'],
): OnnxModel {
  const ports = Object.entries(inputs).map(([name, { size }]) => port(11, name, size))
  const graph = message(7, ...nodes, text(2, 'task'), ...constants, ...ports, port(12, output.name, output.size))
  return { bytes: join([integer(1, IR_VERSION), graph, message(8, integer(2, OPSET))]), inputs, output }
}
