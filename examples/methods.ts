import type { RequestHandler } from 'express'
import { messagePage, sendPage } from './pages.ts'

/** Responds to every other method of a path, and to `OPTIONS`. Register it after the routes of the path. */
export function onlyMethods(...methods: readonly string[]): RequestHandler {
  const allowed = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
  return (req, res) => {
    res.setHeader('Allow', allowed)
    if (req.method === 'OPTIONS') return res.status(204).end()
    return sendPage(res, 405, messagePage('Method not allowed', `This address accepts ${methods.join(' and ')} only.`))
  }
}
