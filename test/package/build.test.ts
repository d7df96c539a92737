import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

const typedProgram = `
  import { dlarray, dlnetwork, imageInputLayer, openScope } from 'dlnet'
  using work = openScope()
  using net = dlnetwork([imageInputLayer([8, 8, 1])])
  export const Y = work.run(() => net.predict(dlarray(new Float32Array(64), [8, 8, 1], 'SSC')))
`

it('the published types compile where libraries are checked, optional properties are exact and Symbol.dispose is unknown', () => {
  expect(existsSync(`${root}/dist/index.d.ts`), 'dist is built: run npm run build').toBe(true)
  const folder = mkdtempSync(join(tmpdir(), 'dlnet-types-'))
  try {
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(root, join(folder, 'node_modules', 'dlnet'), 'junction')
    writeFileSync(join(folder, 'main.ts'), typedProgram)
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    const compilerOptions = {
      noEmit: true,
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      lib: ['es2022', 'dom'],
      target: 'es2022',
      module: 'nodenext',
      types: [],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['main.ts'] }))
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const { stdout } = spawnSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' })
    expect(stdout).toBe('')
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)
