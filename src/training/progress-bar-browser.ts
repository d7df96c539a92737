import type * as node from './progress-bar.js'

// What stands for progress-bar.ts in bundles for browsers (package.json, `browser`).

export function linesOnly({ write = (line) => console.log(line) }: node.ProgressBarOptions): node.ProgressBar {
  return { update() {}, log: write, stop() {} }
}

export const createProgressBar: typeof node.createProgressBar = async (options) => linesOnly(options)
