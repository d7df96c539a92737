import { FileError } from '../errors.js'
import type * as node from './checkpoint.js'
import type * as run from './run-checkpoint.js'

// What stands for checkpoint.ts and run-checkpoint.ts in bundles for browsers (package.json, `browser`).

export function withoutCheckpoints(call: string): FileError {
  return new FileError({
    call,
    expects: 'checkpoints where there are files, in Node',
    got: 'an environment without them',
    remedy: 'Leave checkpointPath and resume out.',
  })
}

export const prepareCheckpoints: typeof node.prepareCheckpoints = async () => {
  throw withoutCheckpoints('trainnet')
}

export const readCheckpoint: typeof node.readCheckpoint = async () => {
  throw withoutCheckpoints('trainnet')
}

export const saveRun: typeof run.saveRun = async () => {
  throw withoutCheckpoints('trainnet')
}

export const restoreRun: typeof run.restoreRun = () => {
  throw withoutCheckpoints('trainnet')
}
