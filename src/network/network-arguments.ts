import { asText, checkOptionNames, NetworkError, OptionError } from '../errors.js'
import { quoted } from './layer-graph.js'
import { isSizedData } from './network-input.js'

// Reading the arguments of a network's methods.

function isOptions(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

export function isNameList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === 'string')
}

/** Arguments without the options that may stand last, and these. */
export function splitOptions<T extends object>(
  given: readonly unknown[],
  names: readonly string[],
  call: string,
): { inputs: readonly unknown[]; options: Partial<T> } {
  const last = given.at(-1)
  if (!isOptions(last)) return { inputs: given, options: {} }
  checkOptionNames(call, last, names)
  return { inputs: given.slice(0, -1), options: last as Partial<T> }
}

/** Options of `predict` and `forward`. */
export interface PredictOptions {
  /** Layers or layer outputs to compute, `'relu'` or `'split/out2'`; default: the network's outputs. */
  readonly outputs?: string | readonly string[]
}

/** What `predict` and `forward` are called with: data, and options that may stand last. */
export function runArguments(
  given: readonly unknown[],
  call: string,
): { inputs: readonly unknown[]; options: PredictOptions } {
  const { inputs, options } = isSizedData(given.at(-1))
    ? { inputs: given, options: {} as PredictOptions }
    : splitOptions<PredictOptions>(given, ['outputs'], call)
  const { outputs } = options
  if (outputs !== undefined && typeof outputs !== 'string' && !isNameList(outputs))
    throw new OptionError({
      call,
      expects: 'a name, or a list of names, as outputs',
      got: asText(outputs),
      remedy: "Write { outputs: 'relu' } or { outputs: ['relu', 'softmax'] }.",
    })
  return { inputs, options }
}

/** Throws a {@link NetworkError} for a network whose memory was freed. */
export function checkInUse(call: string, isDisposed: boolean): void {
  if (!isDisposed) return
  throw new NetworkError({
    call,
    expects: 'a network that is in use',
    got: 'one whose memory was freed by dispose()',
    remedy: 'Keep it until it is used last.',
  })
}

/** Throws a {@link NetworkError} for a network that cannot compute, or not with so many inputs. */
export function checkUse(
  call: string,
  network: { readonly initialized: boolean; readonly inputNames: readonly string[] },
  state: { readonly layers: number; readonly inputs: number },
  given: number,
): void {
  const problem = (expects: string, got: string, remedy: string) => new NetworkError({ call, expects, got, remedy })
  if (state.layers === 0) throw problem('a network with layers', 'an empty one', 'Add layers with addLayers.')
  if (!network.initialized)
    throw problem(
      'an initialized network',
      'one that is not',
      'Use what net.initialize(X) returns, with an example for each input that has no input layer.',
    )
  if (given === state.inputs) return
  const names = network.inputNames
  throw problem(
    `${names.length} ${names.length === 1 ? 'input' : 'inputs'} (${quoted(names)})`,
    String(given),
    'Give one array for each input, in this order.',
  )
}

export type FactorArguments =
  | readonly [layer: string, parameter: string, factor: number]
  | readonly [path: string, factor: number]

/** The layer and parameter that `('fc', 'Weights')` or `('fc/Weights')` names. */
export function parameterPath(where: readonly unknown[], call: string): { layer: string; parameter: string } {
  const [first, second] = where
  if (where.length === 2 && typeof first === 'string' && typeof second === 'string')
    return { layer: first, parameter: second }
  const slash = typeof first === 'string' ? first.lastIndexOf('/') : -1
  if (where.length === 1 && typeof first === 'string' && slash > 0)
    return { layer: first.slice(0, slash), parameter: first.slice(slash + 1) }
  throw new OptionError({
    call,
    expects: "a layer and a parameter, or 'layer/parameter'",
    got: where.map((one) => (typeof one === 'string' ? `'${one}'` : typeof one)).join(', ') || 'nothing',
    remedy: `Write ${call}('fc', 'Weights'${call.startsWith('set') ? ', 2' : ''}).`,
  })
}
