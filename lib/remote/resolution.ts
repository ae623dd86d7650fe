import dns, { type LookupAddress, Resolver } from 'node:dns' // setServers replaces functions of the default export only
import { readFileSync, statSync } from 'node:fs'
import { isIP, type LookupFunction } from 'node:net'

/** Name resolution for one request, which can be cancelled. */
export interface Resolution {
  readonly lookup: LookupFunction
  /** Ends what is under way. Nothing of it goes on in the background. */
  cancel(): void
}

/** What the system has in files for the resolution of names. */
export interface LocalNames {
  /** The addresses of a name in the hosts file. */
  find(name: string): readonly string[] | undefined
  /** The domains that are tried after the name itself, as `search` in resolv.conf. */
  readonly searchDomains: readonly string[]
}

type Found = (failure: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void

/** When one family of addresses is there, how long to wait for the other. */
const OTHER_FAMILY_MILLISECONDS = 200
const MOST_SEARCH_DOMAINS = 6

/** The addresses of each name in a hosts file. */
export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (isIP(address) === 0) continue
    for (const alias of aliases) {
      const name = alias.toLowerCase()
      const known = names.get(name)
      if (known === undefined) names.set(name, [address])
      else if (!known.includes(address)) known.push(address)
    }
  }
  return names
}

/** The `search` domains of a resolv.conf; the last line of that name counts. */
export function parseSearchDomains(text: string): readonly string[] {
  let domains: readonly string[] = []
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/)
    if (keyword === 'search' || keyword === 'domain')
      domains = values.map((domain) => domain.replace(/\.$/, '')).filter((domain) => domain !== '')
  }
  return domains.slice(0, MOST_SEARCH_DOMAINS)
}

/** Reads a file again only when it has changed; `fallback` if it cannot be read. */
function createFileReader<T>(path: string, parse: (text: string) => T, fallback: T): () => T {
  let seen = ''
  let value = fallback
  return () => {
    try {
      const { mtimeMs, size } = statSync(path)
      const version = `${mtimeMs}|${size}`
      if (version !== seen) {
        value = parse(readFileSync(path, 'utf8'))
        seen = version
      }
    } catch {
      seen = ''
      value = fallback
    }
    return value
  }
}

const isWindows = process.platform === 'win32'
const HOSTS_FILE = isWindows
  ? `${process.env['SystemRoot'] ?? 'C:\\Windows'}\\System32\\drivers\\etc\\hosts`
  : '/etc/hosts'
const readHosts = createFileReader(HOSTS_FILE, parseHosts, new Map())
const readSearchDomains = createFileReader('/etc/resolv.conf', parseSearchDomains, [])

/** The files of this machine. They are read on this thread: they are small, and the thread pool may be busy. */
const systemNames: LocalNames = {
  find: (name) => readHosts().get(name),
  get searchDomains() {
    return readSearchDomains()
  },
}

const isLocalhost = (name: string): boolean => name === 'localhost' || name.endsWith('.localhost')

const toAddresses = (addresses: readonly string[]): LookupAddress[] =>
  addresses.map((address) => ({ address, family: isIP(address) }))

/** IPv4 first, as most hosts have it, unless Node.js is set up otherwise. `net.connect` tries the families in turn. */
function sortAddresses(addresses: LookupAddress[]): LookupAddress[] {
  const first = (dns.getDefaultResultOrder() as string) === 'ipv6first' ? 6 : 4
  return addresses.sort((one, other) => Number(other.family === first) - Number(one.family === first))
}

/** A resolver with the servers of the system, or those that the application set with `dns.setServers`. */
function createResolver(timeoutMilliseconds: number): Resolver {
  const resolver = new Resolver({ timeout: Math.max(100, Math.floor(timeoutMilliseconds / 3)), tries: 3 })
  const servers = dns.getServers()
  try {
    if (servers.length > 0 && servers.join() !== resolver.getServers().join()) resolver.setServers(servers)
  } catch {
    // the form of some link-local servers is one that setServers does not take: the system's own are the same
  }
  return resolver
}

/** Asks for the addresses of both families at once. Waits for the second one only shortly when one has answered. */
function query(resolver: Resolver, name: string, done: Found): void {
  const found: LookupAddress[] = []
  let open = 2
  let failure: NodeJS.ErrnoException | null = null
  let timer: NodeJS.Timeout | undefined
  let isDone = false
  const finish = (): void => {
    if (isDone) return
    isDone = true
    clearTimeout(timer)
    done(found.length > 0 ? null : failure, sortAddresses(found))
  }
  const receive =
    (family: 4 | 6) =>
    (error: NodeJS.ErrnoException | null, addresses: readonly string[] = []): void => {
      open -= 1
      if (error !== null) {
        if (failure === null || failure.code === 'ENODATA') failure = error
      } else for (const address of addresses) found.push({ address, family })
      if (open === 0) finish()
      else if (found.length > 0) timer = setTimeout(finish, OTHER_FAMILY_MILLISECONDS)
    }
  resolver.resolve4(name, receive(4))
  resolver.resolve6(name, receive(6))
}

const hasNoAddress = ({ code }: NodeJS.ErrnoException): boolean => code === 'ENOTFOUND' || code === 'ENODATA'

/** Tries the names in turn, until one has addresses. */
function queryInTurn(resolver: Resolver, names: readonly string[], done: Found): void {
  const [name = '', ...others] = names
  query(resolver, name, (failure, addresses) => {
    if (failure !== null && others.length > 0 && hasNoAddress(failure)) queryInTurn(resolver, others, done)
    else done(failure, addresses)
  })
}

/**
 * Prepares the resolution of names by the hosts file and by DNS. Unlike `dns.lookup` it does not occupy a thread of the
 * pool of Node.js, where a name server that does not respond would keep the work of others waiting, and it ends when it
 * is cancelled. Other sources of the system (mDNS, NIS) are not asked.
 */
export function startResolution(timeoutMilliseconds: number, names: LocalNames = systemNames): Resolution {
  let resolver: Resolver | undefined
  const resolve = (hostname: string, done: Found): void => {
    const name = hostname.toLowerCase().replace(/\.$/, '')
    const local = names.find(name) ?? (isLocalhost(name) ? ['127.0.0.1', '::1'] : undefined)
    if (local !== undefined) {
      process.nextTick(done, null, toAddresses(local))
      return
    }
    resolver ??= createResolver(timeoutMilliseconds)
    const isComplete = hostname.endsWith('.')
    const others = isComplete ? [] : names.searchDomains.map((domain) => `${name}.${domain}`)
    queryInTurn(resolver, [name, ...others], done)
  }
  return {
    lookup: (hostname, options, callback) =>
      resolve(hostname, (failure, addresses) => {
        const first = addresses[0]
        if (failure !== null) callback(failure, '', 0)
        else if (options.all === true || first === undefined) callback(null, addresses)
        else callback(null, first.address, first.family)
      }),
    cancel: () => resolver?.cancel(),
  }
}
