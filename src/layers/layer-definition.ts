import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import type { RandomStream } from '../operations/arrays/random.js'
import type { BlockPart } from '../operations/block/block-options.js'
import type { Fans } from './initializers.js'
import type { Positional } from './layer-arguments.js'
import type { ArgumentDefinition, Place, PropertyDefinition } from './property.js'

// Everything a kind of layer is stands in one object of this form. `L` is the layer as users see it.

/** What a layer may depend on besides its inputs and parameters. */
export interface LayerContext {
  /** True in training, false in prediction. */
  readonly training: boolean
  readonly random: RandomStream
}

/** An array that training changes. */
export interface LearnableDefinition<L> {
  /** As in MATLAB's tables: `'Weights'`. */
  readonly name: string
  readonly property: string
  readonly initializer: string
  readonly learnRateFactor: string
  readonly l2Factor: string
  /** Size for this input; throws when the layer does not fit it. */
  readonly size: (layer: L, inputs: readonly ArrayInfo[]) => readonly number[]
  /** Inputs and outputs of one unit, for the initializers that ask. */
  readonly fans?: (layer: L, inputs: readonly ArrayInfo[]) => Fans
  /** True when given values must have that very size; otherwise that many elements along one dimension are enough. */
  readonly exact?: boolean
}

/** A learnable whose initializer is named after its property, and whose factors after it or `factors`. */
export function learnable<L>(
  property: string,
  size: LearnableDefinition<L>['size'],
  factors = property,
): LearnableDefinition<L> {
  return {
    name: property.charAt(0).toUpperCase() + property.slice(1),
    property,
    initializer: `${property}Initializer`,
    learnRateFactor: `${factors}LearnRateFactor`,
    l2Factor: `${factors}L2Factor`,
    size,
  }
}

/** An array that training updates without a gradient. */
export interface StateDefinition<L> {
  readonly name: string
  readonly property: string
  readonly size: (layer: L, inputs: readonly ArrayInfo[]) => readonly number[]
  /** Value of every element at the beginning. */
  readonly initial: number
  /** Throws for values that it cannot have; `name` is what the call names it by. */
  readonly check?: (value: DlArray, place: Place) => void
}

/** A group of the printed layer: property names in order. */
export interface DisplayGroup {
  readonly title?: string
  readonly properties: readonly string[]
}

/** Everything a kind of layer is. */
export interface LayerDefinition<L> {
  /** The function users call: `'instanceNormalizationLayer'`. */
  readonly functionName: string
  readonly className: string
  readonly typeName: string
  /** What networks call a layer of this kind: `'instancenorm'`. */
  readonly defaultName: string
  readonly description: (layer: L) => string
  readonly positional?: Positional
  /** In the order of MATLAB's `properties`, without the five that all layers have. */
  readonly properties: readonly PropertyDefinition[]
  readonly arguments?: readonly ArgumentDefinition[]
  readonly display: (layer: L) => readonly DisplayGroup[]
  readonly learnables?: readonly LearnableDefinition<L>[]
  readonly state?: readonly StateDefinition<L>[]
  readonly inputNames?: readonly string[]
  readonly outputNames?: readonly string[]
  /** What the layer takes when it is an input layer: undefined where sizes are not determined. */
  readonly inputInfo?: (layer: L) => ArrayInfo | undefined
  /** Throws when properties contradict one another. */
  readonly check?: (layer: L, call: string) => void
  /** What the outputs will be; throws when the layer does not fit its inputs. */
  readonly output: (
    layer: L,
    inputs: readonly ArrayInfo[],
    parameters: Record<string, ArrayInfo>,
  ) => readonly ArrayInfo[]
  /** Derived and 'auto' properties for these inputs. */
  readonly resolve?: (layer: L, inputs: readonly ArrayInfo[]) => Readonly<Record<string, unknown>>
  /** What the layer is where a network runs several as one operation; undefined where its settings do not go with that. */
  readonly block?: (layer: L) => BlockPart | undefined
  readonly compute: (
    layer: L,
    inputs: readonly DlArray[],
    parameters: Readonly<Record<string, DlArray>>,
    context: LayerContext,
  ) => readonly DlArray[]
  /**
   * In training, of a layer with state: its outputs, and what its state is afterwards, by name. Other layers compute in
   * training as they do in prediction, or ask the context.
   */
  readonly train?: (
    layer: L,
    inputs: readonly DlArray[],
    parameters: Readonly<Record<string, DlArray>>,
    context: LayerContext,
  ) => LayerResult
}

/** What a layer gives. */
export interface LayerResult {
  readonly outputs: readonly DlArray[]
  /** The state parameters after it, by name; undefined where they stay as they are. */
  readonly state?: Readonly<Record<string, DlArray>>
}
