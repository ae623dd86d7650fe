import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { callWriter } from '../../lib/http/writer.ts'

/** A response as far as a writer is about it, and what happened to it. */
function scene() {
  const told: string[] = []
  const response = Object.assign(new EventEmitter(), {
    writableEnded: false,
    headersSent: false,
    destroy: () => told.push('destroyed'),
  }) as unknown as ServerResponse & { writableEnded: boolean; headersSent: boolean }
  const onFault = (fault: unknown): void => {
    told.push(fault instanceof Error ? fault.message : String(fault))
  }
  const call = (write: () => unknown): void =>
    callWriter(write, response, { milliseconds: 100, onFault, send: () => told.push('sent') })
  return { told, response, call }
}
const later = () => new Promise((resolve) => setImmediate(resolve))
const fail = (): never => {
  throw new Error('no template')
}

test('a writer that throws or rejects is reported, and the response is sent in its place', async () => {
  for (const write of [fail, async () => fail()]) {
    const { told, call } = scene()
    call(write)
    await later()
    assert.deepEqual(told, ['no template', 'sent'])
  }
})

test('a writer that fails after it began is reported, and half its response is cut off; a whole one stays', async () => {
  for (const [headersSent, writableEnded, last] of [
    [true, false, ['destroyed']],
    [true, true, []],
  ] as const) {
    const { told, response, call } = scene()
    call(() => {
      Object.assign(response, { headersSent, writableEnded })
      fail()
    })
    assert.deepEqual(told, ['no template', ...last])
  }
})

test('a writer that does not end the response in time is reported once, also if it rejects afterwards', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { told, call } = scene()
  let reject = (_fault: Error): void => undefined
  call(() => new Promise((_, refuse) => (reject = refuse)))
  t.mock.timers.tick(99)
  assert.deepEqual(told, [])
  t.mock.timers.tick(1)
  reject(new Error('too late'))
  await later()
  assert.deepEqual(told, ['it did not end the response within 100 milliseconds', 'sent'])
})

test('a writer whose connection closes is not waited for', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { told, response, call } = scene()
  call(() => new Promise(() => undefined))
  response.emit('close')
  t.mock.timers.tick(1000)
  assert.deepEqual(told, [])
})
