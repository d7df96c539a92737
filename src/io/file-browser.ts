import { FileError } from '../errors.js'
import type * as node from './file.js'

// What stands for file.ts in bundles for browsers (package.json, `browser`).

export function withoutFiles(call: string, instead: string): FileError {
  return new FileError({
    call,
    expects: 'to run where there are files, in Node',
    got: 'an environment without them',
    remedy: `Use ${instead}, which works on bytes.`,
  })
}

export const readFileBytes: typeof node.readFileBytes = async (_file, call, instead) => {
  throw withoutFiles(call, instead)
}

export const prepareFolder: typeof node.prepareFolder = async (_folder, call) => {
  throw withoutFiles(call, 'serializeArrays')
}

export const writeFileAtomically: typeof node.writeFileAtomically = async (_file, _bytes, call, instead) => {
  throw withoutFiles(call, instead)
}
