import type { DlArray } from '../../src/array/dlarray.js'
import { scope } from '../../src/memory/scope.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { blockOperation } from '../../src/operations/block/block.js'
import { type BlockInputs, type BlockOptions, defaultBlock } from '../../src/operations/block/block-options.js'
import { dlconv } from '../../src/operations/convolution/dlconv.js'
import { dltranspconv } from '../../src/operations/convolution/dltranspconv.js'
import { plus, times } from '../../src/operations/elementwise/arithmetic.js'
import { relu } from '../../src/operations/elementwise/relu.js'
import { tanh } from '../../src/operations/elementwise/sigmoid.js'
import { instancenorm } from '../../src/operations/normalization/instancenorm.js'
import { max, min } from '../../src/operations/reductions/extremum.js'
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

/** What an operator is in a block, as layers of a network are. */
const parts: Record<string, (node: OnnxNode) => { inputs: readonly string[]; options: Partial<BlockOptions> }> = {
  Conv: (node) => ({ inputs: ['weights', 'bias'], options: { stride: strides(node), padding: edges(node) } }),
  InstanceNormalization: ({ attributes }) => ({
    inputs: ['scale', 'offset'],
    options: { epsilon: attributes.epsilon?.[0] ?? defaultBlock.epsilon },
  }),
  Relu: () => ({ inputs: [], options: { activation: 'relu' } }),
}

const chain = Object.keys(parts)

/** Runs of two or more operators that a network of layers would compute as one block; the others alone. */
function blocks(nodes: readonly OnnxNode[]): OnnxNode[][] {
  const readers = (name: string) => nodes.filter((node) => node.inputs.includes(name)).length
  const runs: OnnxNode[][] = []
  for (const node of nodes) {
    const before = runs.at(-1)?.at(-1)
    const follows =
      before &&
      node.inputs[0] === before.output &&
      readers(before.output) === 1 &&
      chain.indexOf(before.type) !== -1 &&
      chain.indexOf(node.type) > chain.indexOf(before.type)
    if (follows) runs.at(-1)!.push(node)
    else runs.push([node])
  }
  return runs
}

/** One run of operators on the arrays they read. */
function compute(run: readonly OnnxNode[], arrays: Named): DlArray {
  const [first] = run as [OnnxNode]
  if (run.length === 1) {
    const operator = operators[first.type]
    if (!operator) throw new Error(`the network has a ${first.type}, which is not read`)
    return operator(
      first,
      first.inputs.map((name) => arrays[name]!),
    )
  }
  const inputs: Named = { X: arrays[first.inputs[0]!]! }
  const options = { ...defaultBlock, keep: false }
  for (const node of run) {
    const part = parts[node.type]!(node)
    Object.assign(options, part.options)
    node.inputs.slice(1).forEach((name, i) => {
      inputs[part.inputs[i]!] = arrays[name]!
    })
  }
  return blockOperation.run(inputs as unknown as BlockInputs<DlArray>, options)
}

/** The nodes of a graph one run after the other; each array is given back after the last run that reads it. */
function interpreter({ nodes, input, output }: OnnxGraph, constants: Named): (X: DlArray) => DlArray {
  const runs = blocks(nodes)
  const last = new Map(runs.flatMap((run) => run.flatMap((node) => node.inputs.map((name) => [name, run] as const))))
  const made = new Set(runs.map((run) => run.at(-1)!.output))
  const steps = runs.map((run) => ({
    run,
    ends: [...new Set(run.flatMap((node) => node.inputs))].filter(
      (name) => last.get(name) === run && name !== output && made.has(name),
    ),
  }))
  return (X) => {
    const arrays: Named = { ...constants, [input]: X }
    for (const { run, ends } of steps) {
      arrays[run.at(-1)!.output] = compute(run, arrays)
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
