import type { DlArray } from '../../src/array/dlarray.js'
import { scope } from '../../src/memory/scope.js'
import { plus, times } from '../../src/operations/arithmetic.js'
import { dlarray } from '../../src/operations/dlarray.js'
import { dlconv } from '../../src/operations/dlconv.js'
import { dltranspconv } from '../../src/operations/dltranspconv.js'
import { max, min } from '../../src/operations/extremum.js'
import { instancenorm } from '../../src/operations/instancenorm.js'
import { relu } from '../../src/operations/relu.js'
import { tanh } from '../../src/operations/sigmoid.js'
import { type OnnxGraph, type OnnxNode, readOnnxGraph } from '../onnx-graph.js'
import type { Prepared } from '../peer.js'
import { readPng } from '../png.js'
import { readStyleFile, stylePicture, type Task } from '../task.js'

type Named = Record<string, DlArray>

/** Pads of ONNX [rows before, columns before, rows after, columns after], columns being the first dimension here. */
function edges({ attributes }: OnnxNode): number[][] {
  const [top = 0, left = 0, bottom = 0, right = 0] = attributes.pads ?? []
  return [
    [left, top],
    [right, bottom],
  ]
}

const strides = ({ attributes }: OnnxNode) => [...(attributes.strides ?? [1, 1])].reverse()

/** One operator of ONNX, as operations of dlnet on images of columns, rows, channels, observations. */
const operators: Record<string, (node: OnnxNode, inputs: readonly DlArray[]) => DlArray> = {
  Conv: (node, [X, weights, bias]) => dlconv(X!, weights!, bias, { stride: strides(node), padding: edges(node) }),
  ConvTranspose: (node, [X, weights, bias]) =>
    dltranspconv(X!, weights!, bias, { stride: strides(node), cropping: edges(node) }),
  InstanceNormalization: ({ attributes }, [X, scale, offset]) =>
    instancenorm(X!, offset!, scale!, { epsilon: attributes.epsilon?.[0] }),
  Relu: (_, [X]) => relu(X!),
  Tanh: (_, [X]) => tanh(X!),
  Add: (_, [A, B]) => plus(A!, B!),
  Mul: (_, [A, B]) => times(A!, B!),
  Clip: (_, [X, lower, upper]) => min(max(X!, lower!), upper!),
}

/** The nodes of a graph one after the other; each array is given back after the last node that reads it. */
function interpreter({ nodes, input, output }: OnnxGraph, constants: Named): (X: DlArray) => DlArray {
  const last = new Map(nodes.flatMap((node) => node.inputs.map((name) => [name, node] as const)))
  const steps = nodes.map((node) => {
    const compute = operators[node.type]
    if (!compute) throw new Error(`the network has a ${node.type}, which is not read`)
    const ends = [...new Set(node.inputs)].filter(
      (name) => last.get(name) === node && name !== input && name !== output && !constants[name],
    )
    return { node, compute, ends }
  })
  return (X) => {
    const arrays: Named = { ...constants, [input]: X }
    for (const { node, compute, ends } of steps) {
      arrays[node.output] = compute(
        node,
        node.inputs.map((name) => arrays[name]!),
      )
      for (const name of ends) arrays[name]!.dispose()
    }
    return arrays[output]!
  }
}

/** Columns are the first dimension, so that ONNX's order of elements, last index fastest, is the order of memory. */
export function prepareStyle(task: Task & { kind: 'style' }): Prepared {
  const graph = readOnnxGraph(readStyleFile(task.model))
  const { values, width, height } = stylePicture(task)
  const expected = readPng(readStyleFile(task.expected)).bytes
  const X: DlArray = dlarray(values, [width, height, 3, 1], 'SSCB')
  const constants = Object.fromEntries(
    Object.entries(graph.constants).map(([name, { size, values }]) => [
      name,
      dlarray(values, size.length > 1 ? [...size].reverse() : [size[0] ?? 1, 1]) as DlArray,
    ]),
  )
  const predict = interpreter(graph, constants)
  return {
    run: () =>
      scope(() => {
        predict(X)
      }),
    outputs() {
      const stylized = scope(() => new Float32Array(predict(X).values()))
      checkPicture(stylized, expected)
      return { stylized }
    },
    release() {
      for (const array of [X, ...Object.values(constants)]) array.dispose()
    },
  }
}

/** Values on the edge between two levels may round to either. */
function checkPicture(planes: Float32Array, expected: Uint8Array): void {
  const pixels = planes.length / 3
  const off = expected.map((level, i) => Math.abs(level - Math.round(planes[(i % 3) * pixels + Math.floor(i / 3)]!)))
  const differing = off.filter((levels) => levels > 0).length
  const worst = off.reduce((most, levels) => Math.max(most, levels), 0)
  if (worst > 1 || differing > 0.01 * expected.length)
    throw new Error(`${differing} of ${expected.length} levels differ from the expected picture, by up to ${worst}`)
}
