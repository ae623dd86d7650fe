import type { RequestHandler } from 'express'
import { messagePage, sendPage } from './pages.ts'

/** Comes after the routes of a path: answers every other method, and `OPTIONS`. */
export function onlyMethods(...methods: readonly string[]): RequestHandler {
  const allowed = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
  return (req, res) => {
    res.setHeader('Allow', allowed)
    if (req.method === 'OPTIONS') return res.status(204).end()
    return sendPage(res, 405, messagePage('This does not work here', `What works here is ${methods.join(' and ')}.`))
  }
}
