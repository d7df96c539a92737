import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { pythonWithTorch } from './contender-process.js'

const folder = fileURLToPath(new URL('.', import.meta.url))

/** Installs the libraries of bench/package.json where they are missing or older than its lock file. */
export function installPeers(say: (line: string) => void): void {
  const installed = `${folder}node_modules/.package-lock.json`
  const current =
    existsSync(installed) &&
    statSync(installed).mtimeMs >= statSync(`${folder}package-lock.json`).mtimeMs &&
    readdirSync(`${folder}node_modules`).length > 1
  if (!current) {
    say('Installing the libraries to compare with (npm ci in bench/, about 500 MB) ...')
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    const { status, stderr } = spawnSync(npm, ['ci', '--no-audit', '--no-fund'], { cwd: folder, encoding: 'utf8' })
    if (status !== 0)
      say(
        `They could not be installed, and their columns will say so: ${stderr?.trim().split('\n').slice(-3).join(' ')}`,
      )
  }
  if (!pythonWithTorch())
    say(
      'PyTorch is not installed. On Debian: apt-get install -y --no-install-recommends python3-torch libopenblas0; or name a Python that has it in DLNET_BENCH_PYTHON.',
    )
}
