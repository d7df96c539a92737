import type * as FileSystem from 'node:fs/promises'
import { FileError } from '../errors.js'
import { withoutFiles } from './file-browser.js'

// Files in Node. The modules are taken when needed, without an import that a bundler for browsers would stumble over.

interface NodeFiles {
  readonly fs: typeof FileSystem
  readonly path: typeof import('node:path')
}

function nodeFiles(call: string, instead: string): NodeFiles {
  const builtin = globalThis.process?.getBuiltinModule
  if (typeof builtin !== 'function') throw withoutFiles(call, instead)
  return { fs: builtin('node:fs/promises'), path: builtin('node:path') }
}

/** The bytes of a file. Throws a {@link FileError} when it cannot be read; `instead` names what works without files. */
export async function readFileBytes(file: string, call: string, instead: string): Promise<Uint8Array> {
  checkName(file, call)
  const { fs } = nodeFiles(call, instead)
  try {
    return await fs.readFile(file)
  } catch (error) {
    throw new FileError(
      {
        call,
        expects: `a file that can be read at '${file}'`,
        got: reason(error),
        remedy: 'Check the name and whether this program may read it.',
      },
      { cause: error },
    )
  }
}

let written = 0

/**
 * Makes a folder where it is missing, with those above it, and writes and removes an empty file in it. Throws a
 * {@link FileError} when that cannot be done; `what` is what the caller calls the folder.
 */
export async function prepareFolder(folder: string, call: string, what: string): Promise<void> {
  const { fs, path } = nodeFiles(call, 'serializeArrays')
  try {
    if (folder.includes('\0')) throw new Error('a name with a zero character')
    const missing: string[] = []
    for (let level = path.resolve(folder); !(await isFolder(fs, level)); level = path.dirname(level))
      missing.push(level)
    // Level by level: Node's recursive mkdir does not come to an end where the system cannot make folders, as in /proc.
    for (const level of missing.reverse())
      await fs.mkdir(level).catch(async (error: unknown) => {
        if (!(await isFolder(fs, level))) throw error
      })
    const probe = path.join(folder, `.${process.pid}-${++written}.tmp`)
    await fs.writeFile(probe, '', { flag: 'wx' })
    await fs.rm(probe)
  } catch (error) {
    throw new FileError(
      {
        call,
        expects: `${what} to be a folder that can be written to: '${folder}'`,
        got: reason(error),
        remedy: 'Choose another folder; it is made where it is missing.',
      },
      { cause: error },
    )
  }
}

/** False for what does not exist; an error for what is no folder. */
async function isFolder(fs: typeof FileSystem, name: string): Promise<boolean> {
  const stat = await fs.stat(name).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
  if (stat && !stat.isDirectory()) throw new Error(`a file, '${name}'`)
  return stat !== undefined
}

/**
 * Writes a file whole or not at all: into a temporary file beside it, flushed to the disk, which then takes the name. When
 * anything fails, the temporary file is removed and a file that had the name is as it was. Throws a {@link FileError}.
 */
export async function writeFileAtomically(
  file: string,
  bytes: Uint8Array,
  call: string,
  instead: string,
): Promise<void> {
  checkName(file, call)
  const { fs, path } = nodeFiles(call, instead)
  let temporary: string | undefined
  try {
    // Through a link, to what it points at: renaming over the link would replace the link.
    const target = await fs.realpath(file).catch(() => path.resolve(file))
    const mode = (await fs.stat(target).catch(() => undefined))?.mode
    temporary = path.join(path.dirname(target), `.${path.basename(target)}.${process.pid}-${++written}.tmp`)
    const handle = await fs.open(temporary, 'wx', mode)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await fs.rename(temporary, target)
    temporary = undefined
    await flushFolder(fs, path.dirname(target))
  } catch (error) {
    if (temporary !== undefined) await fs.rm(temporary, { force: true }).catch(() => undefined)
    throw new FileError(
      {
        call,
        expects: `to write ${bytes.length} bytes to '${file}'`,
        got: reason(error),
        remedy: 'Choose a folder that exists, with room and the right to write. A file of that name is as it was.',
      },
      { cause: error },
    )
  }
}

/** Makes the new name last through a power cut, where the system can. */
async function flushFolder(fs: typeof FileSystem, folder: string): Promise<void> {
  try {
    const handle = await fs.open(folder, 'r')
    await handle.sync().finally(() => handle.close())
  } catch {
    // Windows opens no folders. The file is complete in any case.
  }
}

function checkName(file: unknown, call: string): void {
  if (typeof file !== 'string' || file === '' || file.includes('\0'))
    throw new FileError({
      call,
      expects: 'the name of a file',
      got: typeof file === 'string' ? JSON.stringify(file) : typeof file,
      remedy: "Give a path such as 'digits.safetensors'.",
    })
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'no right to do that',
  EPERM: 'no right to do that',
  EROFS: 'a disk that cannot be written to',
  ENOSPC: 'a disk that is full',
  EDQUOT: 'a disk quota that is used up',
  EFBIG: 'a file larger than the system allows',
  EISDIR: 'a folder',
  ENOTDIR: 'a path through something that is no folder',
  ENAMETOOLONG: 'a name that is too long',
  ELOOP: 'links that go round in a circle',
  ENOTEMPTY: 'a folder',
  EMFILE: 'too many open files',
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  const words = code === undefined ? undefined : reasons[code]
  return words ? `${words} (${code})` : message
}
