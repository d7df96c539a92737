import { OptionError } from '../errors.js'
import { copyLayer, isLayer, type Layer } from '../layers/layer.js'
import { type FactorKind, getFactor, setFactor } from '../layers/layer-parameters.js'
import { DlNetwork } from './dlnetwork.js'

// Learn-rate and L2 factors as MATLAB's functions, for a layer or for a parameter of a network.

/** A parameter: of a layer, by its name; of a network, by layer and name or as `'layer/parameter'`. */
export type ParameterPlace =
  | readonly [layer: Layer, parameter: string]
  | readonly [net: DlNetwork, layer: string, parameter: string]
  | readonly [net: DlNetwork, path: string]

/**
 * The factor that multiplies the learn rate of a parameter: `getLearnRateFactor(layer, 'Weights')`,
 * `getLearnRateFactor(net, 'fc', 'Weights')` or `getLearnRateFactor(net, 'fc/Weights')`. Source: MATLAB, `getLearnRateFactor`.
 */
export function getLearnRateFactor(...where: ParameterPlace): number {
  return read('learnRate', where, 'getLearnRateFactor')
}

/** The factor that multiplies the L2 regularization of a parameter. Source: MATLAB, `getL2Factor`. */
export function getL2Factor(...where: ParameterPlace): number {
  return read('l2', where, 'getL2Factor')
}

/**
 * A copy of the layer or network with another learn-rate factor: `setLearnRateFactor(layer, 'Weights', 2)`,
 * `setLearnRateFactor(net, 'fc', 'Weights', 2)` or `setLearnRateFactor(net, 'fc/Weights', 2)`; 0 freezes the parameter.
 *
 * Errors: an {@link OptionError} for factors that are no numbers of 0 or more. Source: MATLAB, `setLearnRateFactor`.
 */
export function setLearnRateFactor<L extends Layer>(layer: L, parameter: string, factor: number): L
export function setLearnRateFactor(net: DlNetwork, layer: string, parameter: string, factor: number): DlNetwork
export function setLearnRateFactor(net: DlNetwork, path: string, factor: number): DlNetwork
export function setLearnRateFactor(...given: readonly unknown[]): Layer | DlNetwork {
  return written('learnRate', given, 'setLearnRateFactor')
}

/** The same for the factor of the L2 regularization; 0 turns it off for the parameter. Source: MATLAB, `setL2Factor`. */
export function setL2Factor<L extends Layer>(layer: L, parameter: string, factor: number): L
export function setL2Factor(net: DlNetwork, layer: string, parameter: string, factor: number): DlNetwork
export function setL2Factor(net: DlNetwork, path: string, factor: number): DlNetwork
export function setL2Factor(...given: readonly unknown[]): Layer | DlNetwork {
  return written('l2', given, 'setL2Factor')
}

function read(kind: FactorKind, [target, ...where]: readonly unknown[], call: string): number {
  if (isLayer(target)) return getFactor(target, where[0] as string, kind)
  if (!(target instanceof DlNetwork)) throw noTarget(target, call)
  const names = where as string[]
  return kind === 'l2' ? target.getL2Factor(...names) : target.getLearnRateFactor(...names)
}

function written(kind: FactorKind, [target, ...rest]: readonly unknown[], call: string): Layer | DlNetwork {
  if (isLayer(target)) {
    const copy = copyLayer(target)
    setFactor(copy, rest[0] as string, kind, rest[1] as number)
    return copy
  }
  if (!(target instanceof DlNetwork)) throw noTarget(target, call)
  const place = rest as [string, number]
  return kind === 'l2' ? target.setL2Factor(...place) : target.setLearnRateFactor(...place)
}

function noTarget(target: unknown, call: string): OptionError {
  return new OptionError({
    call,
    expects: 'a layer or a dlnetwork',
    got: target === null ? 'null' : typeof target,
    remedy: `Write ${call}(net, 'fc', 'Weights'${call.startsWith('set') ? ', 2' : ''}).`,
  })
}
