import { BackendError } from '../errors.js'
import type * as node from './report.js'

// What stands for report.ts in bundles for browsers (package.json, `browser`).

export function withoutCharts(cause?: unknown): BackendError {
  return new BackendError(
    {
      call: 'trainingReport',
      expects: 'Node and the optional package uplot, to draw the charts with',
      got: 'a program that cannot read it',
      remedy: 'Run npm install uplot.',
    },
    { cause },
  )
}

export const trainingReport: typeof node.trainingReport = async () => {
  throw withoutCharts()
}
