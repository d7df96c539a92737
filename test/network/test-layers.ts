import type { DlArray } from '../../src/array/dlarray.js'
import { DimensionError } from '../../src/errors.js'
import type { Layer } from '../../src/layers/layer.js'
import { defineLayer } from '../../src/layers/layer-kind.js'
import { plus, times } from '../../src/operations/elementwise/arithmetic.js'

// Layers with several inputs or outputs, for graphs.

const addition = defineLayer<Layer>({
  functionName: 'testAdditionLayer',
  className: 'TestAdditionLayer',
  typeName: 'Addition',
  defaultName: 'addition',
  description: () => 'Element-wise addition of 2 inputs',
  properties: [],
  display: () => [{ properties: ['name'] }],
  inputNames: ['in1', 'in2'],
  output: (_, [a, b]) => {
    if (a!.size.join() !== b!.size.join())
      throw new DimensionError({ call: 'addition', expects: 'equal sizes', got: 'others', remedy: 'Make them equal.' })
    return [a!]
  },
  compute: (_, [a, b]) => [plus(a!, b!)],
})

/** The sum of two inputs. */
export function additionLayer(name = ''): Layer {
  return addition.create(name === '' ? [] : [{ name }])
}

const split = defineLayer<Layer>({
  functionName: 'testSplitLayer',
  className: 'TestSplitLayer',
  typeName: 'Split',
  defaultName: 'split',
  description: () => 'The input, and twice the input',
  properties: [],
  display: () => [{ properties: ['name'] }],
  outputNames: ['same', 'double'],
  output: (_, [X]) => [X!, X!],
  compute: (_, [X]): DlArray[] => [X!, times(X!, 2)],
})

/** Two outputs: the input itself, the very array, and twice it. */
export function splitLayer(name = ''): Layer {
  return split.create(name === '' ? [] : [{ name }])
}
