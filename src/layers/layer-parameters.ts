import type { DlArray } from '../array/dlarray.js'
import { numel } from '../array/format.js'
import { DimensionError, NetworkError, OptionError } from '../errors.js'
import { interiorOf, type Layer, layerLabel } from './layer.js'
import type { LearnableDefinition, StateDefinition } from './layer-definition.js'
import { assign } from './layer-kind.js'
import { held, shown } from './property.js'

// The learnable and state parameters of any layer and the factors of their training: read, and replaced one at a time.

/** A learnable parameter of a layer. */
export interface LayerLearnable {
  readonly name: string
  /** Undefined until the layer is initialized. */
  readonly value: DlArray | undefined
  readonly learnRateFactor: number
  readonly l2Factor: number
}

/** The learnable parameters in MATLAB's order. */
export function learnablesOf(layer: Layer): LayerLearnable[] {
  const { kind, values } = interiorOf(layer)
  return (kind.learnables ?? []).map(({ name, property, learnRateFactor, l2Factor }) => ({
    name,
    value: values[property] as DlArray | undefined,
    learnRateFactor: values[learnRateFactor] as number,
    l2Factor: values[l2Factor] as number,
  }))
}

/** The state parameters in MATLAB's order. */
export function stateOf(layer: Layer): { name: string; value: DlArray | undefined }[] {
  const { kind, values } = interiorOf(layer)
  return (kind.state ?? []).map(({ name, property }) => ({ name, value: values[property] as DlArray | undefined }))
}

function named<D extends { readonly name: string }>(layer: Layer, list: readonly D[], name: string, what: string): D {
  const found = list.find((definition) => definition.name === name)
  if (found) return found
  const names = list.map((definition) => `'${definition.name}'`).join(', ')
  throw new OptionError({
    call: layerLabel(layer),
    expects: names ? `a ${what} parameter among ${names}` : `no parameter name: it has no ${what} parameters`,
    got: shown(name),
    remedy: names ? 'Check the spelling.' : 'Choose another layer.',
  })
}

function learnableNamed(layer: Layer, name: string): LearnableDefinition<Layer> {
  return named(layer, interiorOf(layer).kind.learnables ?? [], name, 'learnable')
}

/**
 * Gives a learnable a value of the size it has (any size before initialization). The layer takes a hold of its own on the
 * memory; the value it had is not freed, since others may hold it.
 */
export function setLearnable(layer: Layer, name: string, value: DlArray): void {
  replaceArray(layer, learnableNamed(layer, name), value)
}

function stateNamed(layer: Layer, name: string): StateDefinition<Layer> {
  return named(layer, interiorOf(layer).kind.state ?? [], name, 'state')
}

/** As {@link setLearnable}, for state. Throws an {@link OptionError} for values that it cannot have. */
export function setState(layer: Layer, name: string, value: DlArray): void {
  checkState(layer, name, value)
  replaceArray(layer, stateNamed(layer, name), value)
}

/** Throws an {@link OptionError} for values that this state parameter cannot have. */
export function checkState(layer: Layer, name: string, value: DlArray): void {
  stateNamed(layer, name).check?.(value, { call: layerLabel(layer), name })
}

function replaceArray(layer: Layer, { name, property }: { name: string; property: string }, value: DlArray): void {
  const { values } = interiorOf(layer)
  const before = values[property] as DlArray | undefined
  if (before && numel(before.size) !== numel(value.size))
    throw new DimensionError({
      call: layerLabel(layer),
      expects: `${numel(before.size)} elements for ${name} (${before.size.join('×')})`,
      got: `${numel(value.size)} (${value.size.join('×')})`,
      remedy: 'Give an array of that size.',
    })
  values[property] = held(value, before?.size ?? value.size)
}

export type FactorKind = 'learnRate' | 'l2'

function factorProperty(layer: Layer, parameter: string, kind: FactorKind): string {
  const { learnRateFactor, l2Factor } = learnableNamed(layer, parameter)
  return kind === 'learnRate' ? learnRateFactor : l2Factor
}

/** Sets the factor by which a parameter's learn rate or L2 regularization is multiplied. */
export function setFactor(layer: Layer, parameter: string, kind: FactorKind, factor: number): void {
  const name = factorProperty(layer, parameter, kind)
  const property = interiorOf(layer).kind.stored.find((candidate) => candidate.name === name)!
  assign(layer, property, factor)
}

export function getFactor(layer: Layer, parameter: string, kind: FactorKind): number {
  return interiorOf(layer).values[factorProperty(layer, parameter, kind)] as number
}

/** @internal The properties that hold learnable and state parameters. */
export function parameterProperties(layer: Layer): string[] {
  const { kind } = interiorOf(layer)
  return [...(kind.learnables ?? []), ...(kind.state ?? [])].map(({ property }) => property)
}

/** Learnables and state by name. Throws a {@link NetworkError} for one that is empty. */
export function ownParameters(layer: Layer): Record<string, DlArray> {
  const own: Record<string, DlArray> = {}
  for (const { name, value } of [...learnablesOf(layer), ...stateOf(layer)]) {
    if (!value)
      throw new NetworkError({
        call: layerLabel(layer),
        expects: `${name} to be initialized`,
        got: 'an empty one',
        remedy: 'Initialize the network with an example input, or give the layer its values.',
      })
    own[name] = value
  }
  return own
}
