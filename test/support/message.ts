import { expect } from 'vitest'
import { DlnetError } from '../../src/errors.js'

/** The class and message of the error that `fn` throws; fails when it throws none, or one that is not dlnet's. */
export function message(fn: () => unknown): string {
  try {
    fn()
  } catch (error) {
    if (!(error instanceof DlnetError)) throw error
    return `${error.name}: ${error.message}`
  }
  return expect.fail('nothing was thrown')
}
