import type { DlArray } from '../array/dlarray.js'
import { isInputLayer } from '../layers/layer.js'
import type { LayerContext, LayerResult } from '../layers/layer-definition.js'
import { evaluateLayer } from '../layers/layer-running.js'
import { freeEarly, scope } from '../memory/scope.js'
import { fusedSteps, runAsBlock } from './fusion.js'
import { type LayerGraph, type Port, portKey, sourcesOf, topologicalOrder } from './layer-graph.js'
import type { Overrides } from './network-parameters.js'

// What a network does, as a list of steps over numbered slots; the graph says what it is. Each slot is written once. A step
// is one layer, or several that run as one operation where that is possible.

export interface Step {
  readonly layer: number
  /** Layers behind it, each the only reader of the one before, that may run as one operation with it. */
  readonly followers?: readonly number[]
  /** Slots read, one for each input of the layer. */
  readonly inputs: readonly number[]
  /** Slots written, one for each output. */
  readonly outputs: readonly number[]
  /** Slots that no later step reads and that are not asked for. */
  readonly finished: readonly number[]
}

export interface ExecutionPlan {
  readonly steps: readonly Step[]
  readonly slots: number
  /** The slot of each input of the network; undefined where nothing that is asked for depends on it. */
  readonly inputs: readonly (number | undefined)[]
  /** The slot of each output asked for. */
  readonly outputs: readonly number[]
}

/** The steps that compute `outputs` from `inputs`, and no others. */
export function planExecution(graph: LayerGraph, inputs: readonly Port[], outputs: readonly Port[]): ExecutionPlan {
  const order = topologicalOrder(graph, 'dlnetwork')
  const source = sourcesOf(graph)
  const needed = new Set(outputs.map(({ layer }) => layer))
  for (const layer of [...order].reverse())
    if (needed.has(layer))
      graph.layers[layer]!.inputNames.forEach((_, port) => {
        const from = source.get(portKey({ layer, port }))
        if (from) needed.add(from.layer)
      })

  let slots = 0
  const entry: (number | undefined)[] = inputs.map(({ layer }) => (needed.has(layer) ? slots++ : undefined))
  const entryAt = new Map(inputs.map((port, i) => [portKey(port), entry[i]]))
  const slotOf = new Map<string, number>()
  const planned = order
    .filter((layer) => needed.has(layer))
    .map((layer) => {
      const count = isInputLayer(graph.layers[layer]!) ? 1 : graph.layers[layer]!.numInputs
      const read = Array.from({ length: count }, (_, port) => {
        const from = source.get(portKey({ layer, port }))
        return from ? slotOf.get(portKey(from))! : entryAt.get(portKey({ layer, port }))!
      })
      const written = graph.layers[layer]!.outputNames.map((_, port) => {
        slotOf.set(portKey({ layer, port }), slots)
        return slots++
      })
      return { layer, inputs: read, outputs: written }
    })

  const asked = outputs.map((port) => slotOf.get(portKey(port))!)
  const together = fusedSteps(planned, graph, asked)
  const lastStep = new Map<number, number>()
  together.forEach((step, number) => {
    for (const slot of [...step.outputs, ...step.inputs]) lastStep.set(slot, number)
  })
  const finished: number[][] = together.map(() => [])
  for (const [slot, last] of lastStep) if (!asked.includes(slot)) finished[last]!.push(slot)
  const steps = together.map((step, number) => ({ ...step, finished: finished[number]! }))
  return { steps, slots, inputs: entry, outputs: asked }
}

/** What a run needs besides its inputs. */
export interface PlanContext extends LayerContext {
  /** In place of the layers' own parameters. */
  readonly parameters: Overrides | undefined
  /** Called after each layer. */
  readonly observe?: (layer: string, outputs: readonly DlArray[]) => void
}

/** What a run gives. */
interface RunResult {
  readonly outputs: DlArray[]
  /** By number of the layer, the state of those that changed it. */
  readonly states: Map<number, NonNullable<LayerResult['state']>>
}

/** The layers of a step as one operation, or one after the other where they are looked at or do not fit into one. */
function runStep(
  { layer, followers = [] }: Step,
  graph: LayerGraph,
  inputs: readonly DlArray[],
  context: PlanContext,
): { outputs: readonly DlArray[]; states: RunResult['states'] } {
  const numbers = [layer, ...followers]
  const states: RunResult['states'] = new Map()
  if (followers.length > 0 && !context.observe) {
    const layers = numbers.map((number) => ({
      layer: graph.layers[number]!,
      parameters: context.parameters?.get(number),
    }))
    const result = runAsBlock(layers, inputs[0]!, context)
    if (result) {
      const { Y, changed } = result
      if (changed) states.set(numbers[changed.place]!, changed.state)
      return { outputs: [Y], states }
    }
  }
  let read = inputs
  for (const number of numbers) {
    const one = graph.layers[number]!
    const before = read
    const { outputs, state } = scope(() => evaluateLayer(one, before, context.parameters?.get(number), context))
    read = outputs
    if (state) states.set(number, state)
    context.observe?.(one.name, read)
    if (number !== layer && !read.includes(before[0]!)) freeEarly(before[0]!)
  }
  return { outputs: read, states }
}

/**
 * Takes the steps of a plan, within a scope that is the run's own. Each step runs in a scope of its own, and an array is freed
 * after the last step that reads it, so that only what a trace saved or what is returned lives on.
 */
export function runPlan(
  plan: ExecutionPlan,
  graph: LayerGraph,
  inputs: readonly DlArray[],
  context: PlanContext,
): RunResult {
  const slots: (DlArray | undefined)[] = new Array(plan.slots)
  plan.inputs.forEach((slot, i) => {
    if (slot !== undefined) slots[slot] = inputs[i]
  })
  const states: RunResult['states'] = new Map()
  for (const step of plan.steps) {
    const read = step.inputs.map((slot) => slots[slot]!)
    const results = scope(() => runStep(step, graph, read, context))
    for (const [layer, state] of results.states) states.set(layer, state)
    step.outputs.forEach((slot, i) => {
      slots[slot] = results.outputs[i]
    })
    for (const slot of step.finished) {
      const array = slots[slot]
      slots[slot] = undefined
      // A layer may hand its input on: then another slot holds the same array.
      if (array && !slots.includes(array)) freeEarly(array)
    }
  }
  return { outputs: plan.outputs.map((slot) => slots[slot]!), states }
}
