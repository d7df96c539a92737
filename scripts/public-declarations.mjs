import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

/** The part of a declaration that stands at the top of its file. */
function topLevel(node) {
  while (node.parent && !ts.isSourceFile(node.parent)) node = node.parent
  return node
}

/** The statements that the exports of `index` need, those that these need, and so on. */
function reachableStatements(program, index) {
  const checker = program.getTypeChecker()
  const reached = new Set()
  const reach = (symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    for (const declaration of target.declarations ?? []) {
      const statement = topLevel(declaration)
      if (reached.has(statement) || program.isSourceFileDefaultLibrary(declaration.getSourceFile())) continue
      reached.add(statement)
      visit(statement)
    }
  }
  const visit = (node) => {
    const symbol = ts.isIdentifier(node) && checker.getSymbolAtLocation(node)
    if (symbol) reach(symbol)
    ts.forEachChild(node, visit)
  }
  for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(index))) reach(symbol)
  return reached
}

/** The names of values and types in some statements. */
function namesIn(statements) {
  const names = new Set()
  const visit = (node) => {
    if (ts.isIdentifier(node)) names.add(node.text)
    ts.forEachChild(node, visit)
  }
  statements.forEach(visit)
  return names
}

/** An import of those names alone; nothing when there are none. */
function narrowed(statement, names, file) {
  const imported = statement.importClause?.namedBindings
  if (!imported || !ts.isNamedImports(imported)) throw new Error(`${file.fileName}: ${statement.getText(file)}`)
  const kept = imported.elements.filter(({ name }) => names.has(name.text)).map((element) => element.getText(file))
  const keyword = statement.importClause.isTypeOnly ? 'import type' : 'import'
  return kept.length === 0 ? '' : `${keyword} { ${kept.join(', ')} } from ${statement.moduleSpecifier.getText(file)};\n`
}

/** A file of declarations with the statements reached, and the imports these need. */
function pruned(file, reached) {
  const kept = file.statements.filter((statement) => reached.has(statement))
  if (kept.length === 0) return undefined
  const names = namesIn(kept)
  const references = file.text.match(/^\/\/\/ <reference .*\n/gm) ?? []
  const imports = file.statements
    .filter((statement) => ts.isImportDeclaration(statement))
    .map((statement) => narrowed(statement, names, file))
  const rest = kept.map((statement) =>
    statement
      .getFullText(file)
      .replace(/^\/\/\/ <reference .*\n/gm, '')
      .replace(/^\n/, ''),
  )
  return `${references.join('')}${imports.join('')}${rest.join('\n')}\nexport {};\n`
}

/**
 * Leaves in a folder's declarations what its `index.d.ts` gives away and what that is made of: users' compilers then need
 * nothing that only the inside speaks of (WebAssembly, generic typed arrays), and read a part of the text.
 */
export function keepPublicDeclarations(folder) {
  const entry = join(folder, 'index.d.ts')
  const options = { types: [], skipLibCheck: true, module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022 }
  const program = ts.createProgram([entry], options)
  const index = program.getSourceFile(entry)
  const reached = reachableStatements(program, index)
  for (const name of readdirSync(folder, { recursive: true })) {
    const path = join(folder, name)
    if (!path.endsWith('.d.ts') || path === entry) continue
    const file = program.getSourceFile(path)
    const text = file && pruned(file, reached)
    if (text === undefined) rmSync(path)
    else writeFileSync(path, text)
  }
}
