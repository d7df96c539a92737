import { type DlArray, isdlarray } from '../array/dlarray.js'
import type { BatchSourceState } from '../data/minibatch.js'
import { FileError } from '../errors.js'
import type { LayerArray } from '../layers/layer-array.js'
import { sameSize } from '../operations/reductions/sum.js'
import type { BestNetwork } from './best-network.js'
import { type Checkpoint, type CheckpointFile, writeCheckpoint } from './checkpoint.js'
import { releaseLayers } from './layer-copies.js'
import { fixedOptions } from './resumable-options.js'
import type { Histories } from './training-info.js'
import type { RunSettings } from './training-step.js'

// What of a run goes into a checkpoint, and how a run comes back to it.

/** What a run remembers besides network, solver, random numbers and data. */
interface RunMemory {
  readonly histories: Histories
  readonly best: BestNetwork
}

/** Where a run stands. */
interface RunState extends RunMemory {
  readonly iteration: number
  readonly epoch: number
  /** Seconds of training so far. */
  readonly timeElapsed: number
  /** Where the source stood after the present mini-batch. */
  readonly sourceState: BatchSourceState
}

/** Writes a run into a file in the folder of the options. Throws a {@link FileError}. */
export async function saveRun(
  { options, loss, net, parameters, solver, random, source }: RunSettings,
  { histories, best, iteration, epoch, timeElapsed, sourceState: { order, position } }: RunState,
): Promise<void> {
  const arrays: Record<string, DlArray> = {}
  for (const { name, value } of parameters) arrays[`learnables/${name}`] = value
  for (const { layer, parameter, value } of net.state) arrays[`state/${layer}/${parameter}`] = value!
  for (const [name, value] of Object.entries(solver.state())) arrays[`solver/${name}`] = value
  for (const [name, value] of Object.entries(best.kept())) arrays[`best/${name}`] = value
  const layers = net.layers
  for (const { name, value } of inputStatisticsOf(layers)) arrays[`statistics/${name}`] = value
  const checkpoint: Checkpoint = {
    arrays,
    lists: { ...histories.lists(), ...(order && { order }) },
    progress: {
      version: 2,
      solver: options.solver,
      options: fixedOptions(options, loss),
      iteration,
      epoch,
      isEpochDone: position === 0,
      timeElapsed,
      numObservations: source.numObservations,
      position,
      random: { generator: [...random.state().generator], spare: random.state().spare },
      best: best.best,
      failures: best.failures,
    },
  }
  try {
    await writeCheckpoint(options.checkpointPath, checkpoint)
  } finally {
    releaseLayers(layers)
  }
}

/**
 * Brings the network, the solver, random numbers, the data and what the run remembers to where they were; frees the arrays of
 * the checkpoint. Throws a {@link FileError} for a checkpoint of another run.
 */
export function restoreRun(
  { options, loss, net, parameters, solver, random, source }: RunSettings,
  { histories, best }: RunMemory,
  { progress, arrays, lists, file }: CheckpointFile,
): void {
  const misfit = (expects: string, got: string) =>
    new FileError({
      call: 'trainnet',
      expects: `${expects} in '${file}'`,
      got,
      remedy: 'Resume with the network, the data and the options that the checkpoint was made with.',
    })
  const { solver: name, numObservations } = progress
  if (name !== options.solver) throw misfit(`a checkpoint of the solver '${options.solver}'`, `one of '${name}'`)
  for (const [option, value] of Object.entries(fixedOptions(options, loss))) {
    const before = progress.options[option]
    if (before !== value) throw misfit(`a checkpoint with ${option} ${value}`, `one with ${before ?? 'none'}`)
  }
  if (progress.epoch > options.maxEpochs)
    throw misfit(`maxEpochs of at least ${progress.epoch}, the epoch of the checkpoint,`, String(options.maxEpochs))
  if (numObservations !== source.numObservations)
    throw misfit(`a checkpoint for ${source.numObservations} observations`, `one for ${numObservations}`)
  const saved = (key: string, like: DlArray): DlArray => {
    const array = arrays[key]
    if (array && sameSize(array.size, like.size) && array.underlyingType === like.underlyingType) return array
    throw misfit(
      `${key} of size ${like.size.join('×')} (${like.underlyingType})`,
      array ? `${array.size.join('×')} (${array.underlyingType})` : 'none',
    )
  }
  const learnables = parameters.map(({ name: path, value }) => saved(`learnables/${path}`, value))
  for (const [i, { value }] of parameters.entries()) fill(value, learnables[i]!)
  if (net.state.length > 0)
    net.state = net.state.map((row) => ({ ...row, value: saved(`state/${row.layer}/${row.parameter}`, row.value!) }))
  solver.restore(
    Object.fromEntries(
      Object.entries(arrays).flatMap(([key, array]) =>
        key.startsWith('solver/') ? [[key.slice('solver/'.length), array]] : [],
      ),
    ),
    `'${file}'`,
  )
  random.restore(progress.random)
  for (const [key, list] of Object.entries(histories.lists())) {
    if (!lists[key]) throw misfit(`the history ${key}`, 'none')
    for (const value of lists[key]) list.push(value)
  }
  source.restore({ order: lists.order, position: progress.position })
  best.restore(progress.best, progress.failures, saved)
  for (const array of Object.values(arrays)) array.dispose()
}

/** Statistics of input layers, by `layer/property`. */
function inputStatisticsOf(layers: LayerArray): { name: string; value: DlArray }[] {
  const found: { name: string; value: DlArray }[] = []
  for (const layer of layers)
    for (const property of ['mean', 'standardDeviation', 'min', 'max'] as const) {
      const value: unknown = 'normalization' in layer ? Reflect.get(layer, property) : undefined
      if (isdlarray(value)) found.push({ name: `${layer.name}/${property}`, value })
    }
  return found
}

function fill(array: DlArray, from: DlArray): void {
  array.storage.view().set(from.storage.view())
}
