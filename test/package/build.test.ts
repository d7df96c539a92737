import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

// What `npm pack` packs of dist is what users install: it must load under its own name in Node, in programs that are bundled
// for a browser and in the compiler, and compute. `npm test` builds.

const root = fileURLToPath(new URL('../..', import.meta.url))
/** A project that has installed the package. */
let project: string
let packed: readonly string[]

beforeAll(() => {
  expect(existsSync(`${root}/dist/node.js`), 'dist is built: run npm run build').toBe(true)
  project = mkdtempSync(join(tmpdir(), 'dlnet-package-'))
  const modules = join(project, 'node_modules')
  mkdirSync(modules)
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  const npm = ['pack', '--json', '--ignore-scripts', '--pack-destination', project]
  const [tarball] = JSON.parse(execFileSync('npm', npm, { cwd: root, encoding: 'utf8' }))
  packed = tarball.files.map((file: { path: string }) => file.path)
  execFileSync('tar', ['-xzf', join(project, tarball.filename), '-C', modules])
  const { dependencies } = JSON.parse(readFileSync(join(modules, 'package', 'package.json'), 'utf8'))
  execFileSync('mv', [join(modules, 'package'), join(modules, 'dlnet')])
  for (const name of Object.keys(dependencies))
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction')
}, 60_000)

afterAll(() => rmSync(project, { recursive: true, force: true }))

function run(program: string, ...flags: string[]): string {
  const file = join(project, 'program.mjs')
  writeFileSync(file, program)
  return execFileSync(process.execPath, [...flags, file], { cwd: project, encoding: 'utf8' })
}

/** A program of a browser: what a bundler makes of it, the map of its sources included. */
async function bundled(contents: string) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: project },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    external: ['node:*'],
    write: false,
    metafile: true,
  })
  const [{ bytesInOutput = {} } = {}] = Object.values(metafile.outputs).map(({ inputs }) => ({
    bytesInOutput: Object.fromEntries(Object.entries(inputs).map(([file, { bytesInOutput }]) => [file, bytesInOutput])),
  }))
  const files = Object.keys(bytesInOutput)
    .filter((file) => bytesInOutput[file]! > 0)
    .map((file) => file.replace(/^.*node_modules\/dlnet\//, ''))
  return { text: outputFiles[0]!.text, files }
}

const predicting = `
  const net = dlnetwork([imageInputLayer([8, 8, 1]), convolution2dLayer(3, 4), instanceNormalizationLayer()], { seed: 1 })
  const X = dlarray(Float32Array.from({ length: 2048 }, (_, i) => Math.sin(i)), [8, 8, 1, 32], 'SSCB')
  const Y = net.predict(X)
`
const names =
  'dlnetwork, imageInputLayer, convolution2dLayer, instanceNormalizationLayer, dlarray, backendInfo, setThreads'

it('contains the code, its types, and nothing that only tests or builds need', () => {
  expect(packed).toEqual(
    expect.arrayContaining(['dist/node.js', 'dist/index.js', 'dist/index.d.ts', 'LICENSE', 'README.md']),
  )
  expect(
    packed.filter((file) => !/^(dist\/[\w/.-]+\.(js|d\.ts|js\.map)|[A-Z]+(\.md)?|package\.json)$/.test(file)),
  ).toEqual([])
  const code = packed.filter((file) => file.endsWith('.js')).map((file) => readFileSync(join(root, file), 'utf8'))
  expect(code.filter((text) => /\bsamples:/.test(text))).toEqual([])
})

it('has types that need no other package: a compiler that checks libraries would read and check it whole', () => {
  const reached = new Set(['dist/index.d.ts'])
  const foreign: string[] = []
  for (const file of reached)
    for (const [, name] of readFileSync(join(root, file), 'utf8').matchAll(/(?:from|import\() ?'([^']+)'/g))
      if (name!.startsWith('.')) reached.add(join(dirname(file), name!.replace(/\.js$/, '.d.ts')))
      else foreign.push(`${file}: ${name}`)
  expect(foreign).toEqual([])
  expect(reached.size).toBeGreaterThan(80)
  // What nobody can reach is not there, neither are names of the inside.
  expect(packed.filter((file) => file.endsWith('.d.ts')).sort()).toEqual([...reached].sort())
  const text = [...reached].map((file) => readFileSync(join(root, file), 'utf8')).join('\n')
  expect(text.match(/WebAssembly\.|Uint8Array<|\w+Operation\b/g)).toBe(null)
})

describe('Node', () => {
  it('loads one file, which computes on several threads', () => {
    const printed = run(`
      import { ${names} } from 'dlnet'
      ${predicting}
      const one = Y.values()
      setThreads(2)
      while (backendInfo().threads < 2) await new Promise((resolve) => setTimeout(resolve, 5))
      const two = net.predict(X).values()
      console.log(JSON.stringify({
        entry: import.meta.resolve('dlnet').split('/').pop(), dims: Y.dims, size: Y.size, name: backendInfo().name,
        finite: one.every(Number.isFinite), same: one.every((value, i) => value === two[i]),
      }))
    `)
    expect(JSON.parse(printed)).toEqual({
      entry: 'node.js',
      dims: 'SSCB',
      size: [6, 6, 4, 32],
      name: 'wasm',
      finite: true,
      same: true,
    })
  })

  it('has every name that the modules have', () => {
    const printed = run(`
      import * as one from 'dlnet'
      import * as modules from './node_modules/dlnet/dist/index.js'
      console.log(JSON.stringify([Object.keys(one), Object.keys(modules)]))
    `)
    const [one, modules] = JSON.parse(printed)
    expect(one).toEqual(modules)
    expect(one.length).toBeGreaterThan(100)
  })

  it('names functions and source files in the stack of an error', () => {
    const failing = `
      import { dlarray, relu, plus } from 'dlnet'
      try { plus(dlarray([1, 2], 'CB'), dlarray([1, 2, 3], 'CB')) } catch (error) { console.log(error.stack) }
    `
    expect(run(failing)).toMatch(/^DimensionError: plus: expected[\s\S]* at expansion \(\S*dist\/node\.js:/)
    expect(run(failing, '--enable-source-maps')).toMatch(/ at expansion \(\S*dist\/operations\/arrays\/expansion\.js:/)
  })
})

describe('a program that is bundled for a browser', () => {
  it('computes, without Node and without shared memory', async () => {
    const { text, files } = await bundled(`
      import { ${names} } from 'dlnet'
      ${predicting}
      export const result = { size: Y.size, values: Array.from(Y.values()), threads: backendInfo().threads }
    `)
    expect(files).not.toContain('dist/node.js')
    writeFileSync(join(project, 'bundle.mjs'), text)
    const printed = run(`
      const { log } = console
      for (const name of ['process', 'Buffer', 'SharedArrayBuffer']) delete globalThis[name]
      const { result } = await import('./bundle.mjs')
      log(JSON.stringify(result))
    `)
    const inNode = run(
      `import { ${names} } from 'dlnet'; ${predicting}; console.log(JSON.stringify(Array.from(Y.values())))`,
    )
    const { size, values, threads } = JSON.parse(printed)
    expect({ size, threads }).toEqual({ size: [6, 6, 4, 32], threads: 1 })
    expect(values).toEqual(JSON.parse(inNode))
  })

  it('has errors and plain lines in place of what needs Node', async () => {
    const { files } = await bundled(`export * from 'dlnet'`)
    const both = ['backends/wasm/worker', 'io/file'].concat(
      ['checkpoint', 'progress-bar', 'report', 'training-page'].map((name) => `training/${name}`),
    )
    expect(files).toEqual(expect.arrayContaining(both.map((name) => `dist/${name}-browser.js`)))
    const without = [...both, 'training/run-checkpoint']
    expect(files.filter((file) => without.some((name) => file === `dist/${name}.js`))).toEqual([])
    const { text } = await bundled(`export { loadArrays, trainingReport } from 'dlnet'`)
    writeFileSync(join(project, 'bundle.mjs'), text)
    const printed = run(`
      import { loadArrays, trainingReport } from './bundle.mjs'
      const messages = await Promise.allSettled([loadArrays('file'), trainingReport({})])
      console.log(messages.map(({ reason }) => reason.message).join('\\n'))
    `)
    expect(printed).toContain('loadArrays: expected to run where there are files')
    expect(printed).toContain('trainingReport: expected Node and the optional package uplot')
  })

  it('has errors with the names that the documentation has, whatever classes are called there', async () => {
    const { text } = await bundled(`
      import * as dlnet from 'dlnet'
      const isClass = (value) => typeof value === 'function' && value.prototype instanceof Error
      const problem = { call: 'a', expects: 'b', got: 'c', remedy: 'd' }
      export const names = Object.entries(dlnet).filter(([, value]) => isClass(value))
        .map(([name, Class]) => [name, new Class(problem).name])
    `)
    writeFileSync(join(project, 'bundle.mjs'), text)
    const named = JSON.parse(
      run(`import { names } from './bundle.mjs'; console.log(JSON.stringify(names))`),
    ) as readonly [string, string][]
    expect(named.length).toBeGreaterThan(9)
    for (const [name, shown] of named) expect(shown).toBe(name)
  })

  it('contains the modules that it uses alone', async () => {
    const { files } = await bundled(`export { dlarray, relu } from 'dlnet'`)
    expect(files).toEqual(
      expect.arrayContaining(['dist/operations/elementwise/relu.js', 'dist/backends/wasm/backend.js']),
    )
    expect(files.filter((file) => /^dist\/(training|network|layers|data|io)\//.test(file))).toEqual([])
  })
})

const typedProgram = `
  import { dlarray, dlnetwork, imageInputLayer, openScope } from 'dlnet'
  using work = openScope()
  using net = dlnetwork([imageInputLayer([8, 8, 1])])
  export const Y = work.run(() => net.predict(dlarray(new Float32Array(64), [8, 8, 1], 'SSC')))
`

it.each([
  { moduleResolution: 'nodenext', module: 'nodenext', lib: ['es2022', 'dom'], types: [] },
  { moduleResolution: 'bundler', module: 'esnext', lib: ['es2022', 'dom'], types: [] },
  { moduleResolution: 'nodenext', module: 'nodenext', lib: ['es2023'], types: ['node'] },
])(
  'has types that compile where libraries are checked, optional properties are exact and Symbol.dispose is unknown: $lib, $module, $types',
  (given) => {
    writeFileSync(join(project, 'main.ts'), typedProgram)
    const compilerOptions = {
      noEmit: true,
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      target: 'es2022',
      typeRoots: [join(root, 'node_modules', '@types')],
      ...given,
    }
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['main.ts'] }))
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const { stdout } = spawnSync(process.execPath, [compiler, '-p', project], { encoding: 'utf8' })
    expect(stdout).toBe('')
  },
  60_000,
)
