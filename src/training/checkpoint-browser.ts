import { FileError } from '../errors.js'
import type * as node from './checkpoint.js'

// What stands for checkpoint.ts in bundles for browsers (package.json, `browser`).

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

export const writeCheckpoint: typeof node.writeCheckpoint = async () => {
  throw withoutCheckpoints('trainnet')
}

export const readCheckpoint: typeof node.readCheckpoint = async () => {
  throw withoutCheckpoints('trainnet')
}
