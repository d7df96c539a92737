import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { pythonWithTorch } from './contender-process.js'

const folder = fileURLToPath(new URL('.', import.meta.url))

/** Installs the libraries of bench/package.json where one is missing or of another version, and tells of those it cannot. */
export function installPeers(say: (line: string) => void): void {
  if (missing().length > 0) {
    say('Installing the libraries to compare with (npm ci in bench/, about 500 MB) ...')
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    const { stderr } = spawnSync(npm, ['ci', '--no-audit', '--no-fund'], { cwd: folder, encoding: 'utf8' })
    const still = missing()
    if (still.length > 0) {
      const problem = stderr?.split('\n').find((line) => line.startsWith('npm error'))
      say(`Could not be installed, and is left out: ${still.join(', ')}${problem ? ` (${problem})` : ''}`)
    }
  }
  if (!pythonWithTorch())
    say(
      'PyTorch is not installed. On Debian: apt-get install -y --no-install-recommends python3-torch libopenblas0; or name a Python that has it in DLNET_BENCH_PYTHON.',
    )
}

function missing(): string[] {
  const wanted = manifest(`${folder}package.json`).optionalDependencies ?? {}
  return Object.entries(wanted)
    .filter(([name, version]) => {
      const file = `${folder}node_modules/${name}/package.json`
      return !existsSync(file) || manifest(file).version !== version
    })
    .map(([name]) => name)
}

function manifest(file: string): { version?: string; optionalDependencies?: Record<string, string> } {
  return JSON.parse(readFileSync(file, 'utf8'))
}
