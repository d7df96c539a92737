// Compiles src/ to dist/, what is published, in two forms of the same code:
//
//   dist/**/*.js, *.d.ts   one module per source file, entry index.js: bundlers of applications keep what is used
//   dist/node.js           all of it in one file, for Node, which spends longer on 200 modules than on what they do
//
// Declarations are those of the public surface and what it is made of (public-declarations.mjs).
// Samples of operations are for the test that loops over all operations; they are left out of both.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import ts from 'typescript'
import { keepPublicDeclarations } from './public-declarations.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

/** Leaves out the property `samples` of every object in src/operations. */
function withoutSamples(context) {
  const visit = (node) => {
    const visited = ts.visitEachChild(node, visit, context)
    if (!ts.isObjectLiteralExpression(visited)) return visited
    const kept = visited.properties.filter(({ name }) => !name || !ts.isIdentifier(name) || name.text !== 'samples')
    return kept.length === visited.properties.length
      ? visited
      : context.factory.updateObjectLiteralExpression(visited, kept)
  }
  return (file) => (file.fileName.includes('/src/operations/') ? ts.visitNode(file, visit) : file)
}

/**
 * Marks calls in the values of a module's constants as free of effects, as package.json says of whole modules (sideEffects):
 * then bundlers leave out each definition that is not used.
 */
function withPureCalls(context) {
  const mark = (node) => {
    if (ts.isFunctionLike(node) || ts.isClassLike(node)) return node
    const marked = ts.visitEachChild(node, mark, context)
    return ts.isCallExpression(marked) || ts.isNewExpression(marked)
      ? ts.addSyntheticLeadingComment(marked, ts.SyntaxKind.MultiLineCommentTrivia, '@__PURE__', false)
      : marked
  }
  return (file) =>
    context.factory.updateSourceFile(
      file,
      file.statements.map((statement) =>
        ts.isVariableStatement(statement) ? ts.visitEachChild(statement, mark, context) : statement,
      ),
    )
}

function compileModules() {
  const formatting = {
    getCurrentDirectory: () => root,
    getCanonicalFileName: (name) => name,
    getNewLine: () => '\n',
  }
  const configuration = ts.getParsedCommandLineOfConfigFile(join(root, 'tsconfig.build.json'), undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic(problem) {
      throw new Error(ts.formatDiagnostic(problem, formatting))
    },
  })
  const program = ts.createProgram(configuration.fileNames, configuration.options)
  const { diagnostics } = program.emit(undefined, undefined, undefined, false, {
    before: [withoutSamples, withPureCalls],
  })
  const problems = [...configuration.errors, ...ts.getPreEmitDiagnostics(program), ...diagnostics]
  if (problems.length === 0) return
  process.stderr.write(ts.formatDiagnostics(problems, formatting))
  process.exit(1)
}

/** Packages that the one file contains, so that Node need not load them; their licences go with it. */
const contained = ['pure-rand', 'valibot']

function licence(name) {
  const folder = join(root, 'node_modules', name)
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file))
  return `/*\nContains parts of ${name} ${version}:\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n*/`
}

/** The kernels as they are: joining their streams takes 14 ms in a program that begins. */
const plainKernels = {
  name: 'plain kernels',
  setup({ onLoad }) {
    onLoad({ filter: /\/wasm\/kernel-bytes\.js$/ }, async ({ path }) => {
      const { kernelBytes } = await import(pathToFileURL(path))
      const text = Buffer.from(kernelBytes()).toString('base64')
      return { contents: `export const kernelBytes = () => new Uint8Array(Buffer.from('${text}', 'base64'))` }
    })
  },
}

async function bundleForNode() {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['dist/index.js'],
    outfile: 'dist/node.js',
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    plugins: [plainKernels],
    banner: { js: contained.map(licence).join('\n') },
    // For debuggers and --enable-source-maps: to the modules published beside it.
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    logLevel: 'warning',
  })
  const packages = Object.keys(metafile.inputs).map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1])
  const found = [...new Set(packages.filter((name) => name !== undefined))].sort()
  if (found.join() !== contained.join())
    throw new Error(
      `dist/node.js contains ${found.join(', ')}; scripts/build-package.mjs expects ${contained.join(', ')}`,
    )
}

rmSync(dist, { recursive: true, force: true })
compileModules()
keepPublicDeclarations(dist)
await bundleForNode()
