import { escapeUnprintable } from '../printable.ts'
import { explain } from './explain.ts'
import { EXIT, type Io, UsageError } from './io.ts'
import { keygen } from './keygen.ts'

const HELP = `passport-client-assertion-jwt: keys for client assertions, and why one is refused

  keygen [--alg ES256] [--kid ID] [--out private_key.jwk.json] [--jwks FILE]
      Makes a key pair. The private JWK goes to a new file with mode 600. The public JWK set goes to standard output,
      or with --jwks into a file: the key is added to those that are there, and the file is replaced in one step.

  explain JWT --issuer URL [--token-endpoint URL] [--jwks FILE] [--client FILE]
          [--trusted-issuers FILE] [--profile oidc] [--endpoint URL] [--now SECONDS] [--json]
      Carries out every check on a client assertion, in order. The first line says what is wrong and what to do.
      JWT may be - for standard input. --client takes a client record (RFC 7591 member names) as JSON, --jwks a
      public JWK set; without either the signature is not checked. --trusted-issuers takes a JSON array of
      { "issuer", "jwks" | "jwks_uri" | "discovery" }: a token of one of them is judged by its rules, with the keys of
      its jwks or of --jwks. Nothing secret is printed. Nothing is fetched
      and no replay register is asked.

  help, --help       This text.
  --version          The version of the package.

Exit status: 0 fine, 1 the assertion is refused, 2 the command could not be carried out, 3 nothing failed but not
everything could be checked.
Colour is used on a terminal unless NO_COLOR is set.
`

const isArgumentError = (error: unknown): error is Error =>
  error instanceof TypeError && String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS')

/** The whole command line: arguments in, exit status out. It never throws. */
export async function run(args: readonly string[], io: Io, version: string): Promise<number> {
  const [command, ...rest] = args
  try {
    if (command === 'keygen' && !rest.includes('--help')) return await keygen(rest, io)
    if (command === 'explain' && !rest.includes('--help')) return await explain(rest, io)
    if (command === '--version') {
      io.out(`${version}\n`)
      return EXIT.fine
    }
    if (command === undefined) {
      io.err(HELP)
      return EXIT.usage
    }
    if (command === 'help' || args.includes('--help') || args.includes('-h')) {
      io.out(HELP)
      return EXIT.fine
    }
    throw new UsageError(`there is no command '${command}'; see --help`)
  } catch (error) {
    const told = error instanceof UsageError || isArgumentError(error)
    io.err(
      `passport-client-assertion-jwt: ${escapeUnprintable(told ? error.message : `unexpected: ${String(error)}`)}\n`,
    )
    return EXIT.usage
  }
}
