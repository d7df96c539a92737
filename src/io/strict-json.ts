import { FileError } from '../errors.js'

/** Deeper nesting than this occurs in no file of ours and would exhaust the stack of whoever walks it. */
const DEEPEST = 64

/** Keys that reach an object's prototype when someone assigns them. */
export const forbiddenKeys: readonly string[] = ['__proto__', 'constructor', 'prototype']

/** Who reads what: for the words of errors. */
export interface Reading {
  readonly call: string
  /** The file, or what else holds the bytes. */
  readonly source: string
}

/** An error about a file that cannot be used as it is. */
export function damaged({ call, source }: Reading, expects: string, got: string, cause?: unknown): FileError {
  return new FileError(
    {
      call,
      expects: `${expects} in ${source}`,
      got,
      remedy: 'The file is damaged or was not written by dlnet: take an undamaged copy, or save it again.',
    },
    cause === undefined ? undefined : { cause },
  )
}

/**
 * JSON from a file that nobody vouches for: nested at most 64 deep, no key twice in an object, no key that reaches a
 * prototype. Throws a {@link FileError}.
 */
export function parseStrictJSON(text: string, what: string, reading: Reading): unknown {
  scan(text, what, reading)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw damaged(reading, `${what} in JSON`, `text that is not JSON (${(error as Error).message})`, error)
  }
}

// Before parsing: a parser given a hundred million brackets would already have spent the memory.
function scan(text: string, what: string, reading: Reading): void {
  const open: (Set<string> | undefined)[] = []
  for (let i = 0; i < text.length; i++) {
    const letter = text[i]
    if (letter === '{' || letter === '[') {
      if (open.push(letter === '{' ? new Set() : undefined) > DEEPEST)
        throw damaged(reading, `${what} nested at most ${DEEPEST} deep`, 'deeper nesting')
    } else if (letter === '}' || letter === ']') open.pop()
    else if (letter === '"') {
      const end = endOfString(text, i)
      const keys = open.at(-1)
      if (keys && isFollowedByColon(text, end)) checkKey(text.slice(i, end), keys, what, reading)
      i = end - 1
    }
  }
}

/** The position after the closing quote, or the end of the text where there is none. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '"') return i + 1
  }
  return text.length
}

function isFollowedByColon(text: string, from: number): boolean {
  let i = from
  while (i < text.length && ' \t\r\n'.includes(text[i]!)) i++
  return text[i] === ':'
}

function checkKey(quoted: string, keys: Set<string>, what: string, reading: Reading): void {
  let key: unknown
  try {
    key = JSON.parse(quoted)
  } catch {
    return // The parser that follows words this.
  }
  if (typeof key !== 'string') return
  if (keys.has(key)) throw damaged(reading, `each key once in ${what}`, `'${key}' twice`)
  if (forbiddenKeys.includes(key)) throw damaged(reading, `names in ${what}`, `'${key}'`)
  keys.add(key)
}
