import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from '@modelcontextprotocol/client'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

interface StoredTokens {
  access_token: string
  token_type: string
  refresh_token?: string
  scope?: string
}

interface DiscoveryState {
  authorizationServerUrl: string
}

/** What a client has stored, and what it did with the browser. Fits the providers of both generations of the MCP SDK. */
export function createStore(clientMetadataUrl: string, redirectUrl: string, openBrowser: (url: URL) => Promise<URL>) {
  const store = {
    tokens: undefined as StoredTokens | undefined,
    /** The authorization requests, oldest first. */
    requests: [] as URL[],
    /** What the last authorization response said. */
    response: new URLSearchParams(),
    /** What the SDK threw away, because the server said so. */
    invalidated: [] as string[],
  }
  let client: { client_id: string } | undefined
  let verifier = ''
  let discovered: DiscoveryState | undefined
  const provider = {
    redirectUrl,
    clientMetadataUrl,
    clientMetadata: {
      client_name: 'A test',
      redirect_uris: [redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
    },
    clientInformation: () => client,
    saveClientInformation(information: { client_id: string }) {
      client = information
    },
    tokens: () => store.tokens,
    saveTokens(tokens: StoredTokens) {
      store.tokens = tokens
    },
    saveCodeVerifier(text: string) {
      verifier = text
    },
    codeVerifier: () => verifier,
    state: () => 'a state & more',
    invalidateCredentials(what: string) {
      store.invalidated.push(what)
      if (what === 'all' || what === 'tokens') store.tokens = undefined
      if (what === 'all' || what === 'client') client = undefined
      if (what === 'all' || what === 'discovery') discovered = undefined
    },
    saveDiscoveryState(state: DiscoveryState) {
      discovered = state
    },
    discoveryState: () => discovered,
    async redirectToAuthorization(url: URL) {
      store.requests.push(url)
      store.response = (await openBrowser(url)).searchParams
    },
  }
  return { store, provider }
}

export type Store = ReturnType<typeof createStore>

/** A connection to an MCP server. */
export interface Connection {
  /** Calls a tool and returns its text. */
  call(tool: string, parameters?: Record<string, unknown>): Promise<string>
  /** Redeems the code that the browser brought back. */
  finishAuthorization(): Promise<void>
  close(): Promise<void>
}

export interface McpClient {
  readonly name: string
  /** Whether a 403 makes the client ask the user for more scope although it has a refresh token. */
  readonly stepsUp: boolean
  open(url: string, store: Store): { connect(): Promise<void> } & Connection
}

const textOf = (result: object): string =>
  (result as { readonly content: readonly { readonly text: string }[] }).content.map(({ text }) => text).join('\n')

const version1: McpClient = {
  name: '@modelcontextprotocol/sdk 1',
  stepsUp: false,
  open(url, { provider, store }) {
    const client = new Client1({ name: 'test', version: '1.0.0' })
    const transport = new Transport1(new URL(url), { authProvider: provider })
    return {
      connect: () => client.connect(transport as Parameters<typeof client.connect>[0]),
      call: async (name, parameters = {}) => textOf(await client.callTool({ name, arguments: parameters })),
      finishAuthorization: () => transport.finishAuth(store.response.get('code') ?? ''),
      close: () => client.close(),
    }
  },
}

const version2 = (mode: 'auto' | 'legacy'): McpClient => ({
  name: `@modelcontextprotocol/client 2 (${mode})`,
  stepsUp: true,
  open(url, { provider, store }) {
    const client = new Client2({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode } })
    const transport = new Transport2(new URL(url), { authProvider: provider })
    return {
      connect: () => client.connect(transport),
      call: async (name, parameters = {}) => textOf(await client.callTool({ name, arguments: parameters })),
      finishAuthorization: () => transport.finishAuth(store.response),
      close: () => client.close(),
    }
  },
})

/** Both generations of the MCP SDK; the newer one with the protocol of 2026-07-28 and the ones before. */
export const MCP_CLIENTS: readonly McpClient[] = [version1, version2('legacy'), version2('auto')]

/** Connects: the first attempt opens the browser, the second one has a token. */
export async function connect(client: McpClient, url: string, store: Store): Promise<Connection> {
  const first = client.open(url, store)
  try {
    await first.connect()
    return first
  } catch (error) {
    if (store.store.response.get('code') === null) throw error
  }
  await first.finishAuthorization()
  const second = client.open(url, store)
  await second.connect()
  return second
}
