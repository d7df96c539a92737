import { OptionError } from '../errors.js'
import type * as node from './training-page.js'

// What stands for training-page.ts in bundles for browsers (package.json, `browser`).

export function withoutPages(): OptionError {
  return new OptionError({
    call: 'trainnet',
    expects: "plots 'training-progress' in Node, where the page is a file",
    got: 'an environment without files',
    remedy: 'Draw the curves yourself: outputFcn is told the loss and the metrics of each iteration.',
  })
}

export const newPage: typeof node.newPage = () => {
  throw withoutPages()
}
