import * as v from 'valibot'
import type { DlArray } from '../array/dlarray.js'
import { FileError } from '../errors.js'
import { decodeArrays, encodeArrays } from '../io/arrays.js'
import { prepareFolder, readFileBytes, writeFileAtomically } from '../io/file.js'
import { parseStrictJSON } from '../io/strict-json.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import { withoutCheckpoints } from './checkpoint-browser.js'

// A checkpoint is everything a run depends on, in one safetensors file: parameters, solver averages, histories and the order
// of the data as arrays, the rest as JSON in the metadata.

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const progressSchema = v.object({
  version: v.literal(2),
  solver: v.picklist(['sgdm', 'adam', 'rmsprop']),
  /** Loss and options that a run must keep, as text: {@link fixedOptions}. */
  options: v.record(v.string(), v.string()),
  iteration: count,
  epoch: count,
  /** Whether the pass over the data that `epoch` counts is over. */
  isEpochDone: v.boolean(),
  /** Seconds of training so far. */
  timeElapsed: v.pipe(v.number(), v.minValue(0)),
  numObservations: v.optional(count),
  /** Observations of the present pass that were given. */
  position: count,
  random: v.object({ generator: v.array(v.pipe(v.number(), v.safeInteger())), spare: v.optional(v.number()) }),
  /** The validation that was best so far, and how many since then were not better. */
  best: v.optional(v.object({ iteration: count, value: v.number() })),
  failures: count,
})

/** Where a run stands, besides arrays. */
export type Progress = v.InferOutput<typeof progressSchema>

export interface Checkpoint {
  readonly progress: Progress
  /** `learnables/conv/Weights`, `state/...`, `solver/velocity/conv/Weights`, `best/...`, `statistics/input/mean`. */
  readonly arrays: Readonly<Record<string, DlArray>>
  /** Histories, and the order of the data as `order` where it has one. */
  readonly lists: Readonly<Record<string, readonly number[]>>
}

/** A checkpoint that was read, and where from. */
export interface CheckpointFile extends Checkpoint {
  readonly file: string
}

const LISTS = 'lists/'
const PROGRESS = 'training'
const EXTENSION = '.safetensors'

function folderAccess(call: string) {
  const builtin = globalThis.process?.getBuiltinModule
  if (typeof builtin !== 'function') throw withoutCheckpoints(call)
  return { fs: builtin('node:fs/promises'), path: builtin('node:path') }
}

/** Makes sure that checkpoints can be written into a folder. Throws a {@link FileError} that names checkpointPath. */
export async function prepareCheckpoints(folder: string): Promise<void> {
  folderAccess('trainnet')
  await prepareFolder(folder, 'trainnet', 'checkpointPath')
}

/**
 * Writes a checkpoint into a folder, whole or not at all; the folder is made where it is missing. The name has the iteration
 * and the time: `net_checkpoint__195__2026_11_22__10_30_05.safetensors`. Throws a {@link FileError}.
 */
export async function writeCheckpoint(folder: string, checkpoint: Checkpoint, now = new Date()): Promise<string> {
  const { path } = folderAccess('trainnet')
  await prepareCheckpoints(folder)
  const two = (value: number) => String(value).padStart(2, '0')
  const date = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('_')
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('_')
  const file = path.join(folder, `net_checkpoint__${checkpoint.progress.iteration}__${date}__${time}${EXTENSION}`)
  const lists = Object.entries(checkpoint.lists).map(([name, list]): [string, DlArray] => [
    LISTS + name,
    dlarray(Float64Array.from(list), [list.length, 1], { type: 'double' }),
  ])
  try {
    const bytes = encodeArrays(
      { ...checkpoint.arrays, ...Object.fromEntries(lists) },
      { [PROGRESS]: JSON.stringify(checkpoint.progress) },
      'trainnet',
    )
    await writeFileAtomically(file, bytes, 'trainnet', 'serializeArrays')
  } finally {
    for (const [, array] of lists) array.dispose()
  }
  return file
}

/** Reads a checkpoint, or the newest one in a folder. Throws a {@link FileError} for anything else. */
export async function readCheckpoint(fileOrFolder: string): Promise<CheckpointFile> {
  const file = await newestIn(fileOrFolder)
  const source = `'${file}'`
  const bytes = await readFileBytes(file, 'trainnet', 'deserializeArrays')
  const { arrays: all, metadata } = decodeArrays(bytes, { call: 'trainnet', source })
  const progress = readProgress(metadata[PROGRESS], source)
  const arrays: Record<string, DlArray> = {}
  const lists: Record<string, readonly number[]> = {}
  for (const [name, array] of Object.entries(all))
    if (name.startsWith(LISTS)) {
      lists[name.slice(LISTS.length)] = Array.from(array.values())
      array.dispose()
    } else arrays[name] = array
  return { file, progress, arrays, lists }
}

function readProgress(text: string | undefined, source: string): Progress {
  const reading = { call: 'trainnet', source }
  const parsed = text === undefined ? undefined : parseStrictJSON(text, 'the state of training', reading)
  const outcome = v.safeParse(progressSchema, parsed)
  if (outcome.success) return outcome.output
  const [issue] = outcome.issues
  throw new FileError({
    call: 'trainnet',
    expects: `a checkpoint of training in ${source}`,
    got:
      text === undefined
        ? 'a file without the state of training'
        : `a state of training with ${v.getDotPath(issue) ?? 'a mistake'}: ${issue.message}`,
    remedy: 'Resume from a file that trainnet wrote to checkpointPath.',
  })
}

async function newestIn(fileOrFolder: string): Promise<string> {
  const { fs, path } = folderAccess('trainnet')
  const isFolder = await fs.stat(fileOrFolder).then(
    (stat) => stat.isDirectory(),
    () => false,
  )
  if (!isFolder) return fileOrFolder
  const names = (await fs.readdir(fileOrFolder)).filter((name) => /^net_checkpoint__\d+__.*\.safetensors$/.test(name))
  const candidates = await Promise.all(
    names.map(async (name) => {
      const file = path.join(fileOrFolder, name)
      return { file, iteration: Number(name.split('__')[1]), written: (await fs.stat(file)).mtimeMs }
    }),
  )
  candidates.sort((a, b) => b.written - a.written || b.iteration - a.iteration)
  const [newest] = candidates
  if (newest) return newest.file
  throw new FileError({
    call: 'trainnet',
    expects: `checkpoints in the folder '${fileOrFolder}'`,
    got: 'none',
    remedy: 'Give the folder that was checkpointPath, or a checkpoint file.',
  })
}
