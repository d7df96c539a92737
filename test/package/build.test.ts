import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

// What `npm run build` left in dist is what users install: it must load under its own name and compute. `npm test` builds.

const root = fileURLToPath(new URL('../..', import.meta.url))

const program = `
  import { dlnetwork, imageInputLayer, convolution2dLayer, instanceNormalizationLayer, dlarray, backendInfo } from 'dlnet'
  const net = dlnetwork([imageInputLayer([8, 8, 1]), convolution2dLayer(3, 4), instanceNormalizationLayer()], { seed: 1 })
  const Y = net.predict(dlarray(Float32Array.from({ length: 128 }, (_, i) => Math.sin(i)), [8, 8, 1, 2], 'SSCB'))
  console.log(JSON.stringify({ dims: Y.dims, size: Y.size, name: backendInfo().name, finite: Y.values().every(Number.isFinite) }))
`

it('the published build loads under its name and computes', () => {
  expect(existsSync(`${root}/dist/index.js`), 'dist is built: run npm run build').toBe(true)
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: root,
    encoding: 'utf8',
  })
  expect(JSON.parse(printed)).toEqual({ dims: 'SSCB', size: [6, 6, 4, 2], name: 'wasm', finite: true })
})
