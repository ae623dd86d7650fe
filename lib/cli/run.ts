import { escapeUnprintable } from '../printable.ts'
import { explain } from './explain.ts'
import { EXIT, type Io, UsageError } from './io.ts'
import { keygen } from './keygen.ts'

const HELP = `passport-client-assertion-jwt: generates keys for client assertions, and explains why an assertion is refused

  keygen [--alg ES256] [--kid ID] [--out private_key.jwk.json] [--jwks FILE]
      Generates a key pair. Writes the private JWK to a new file with mode 600, and the public JWK set to standard
      output. With --jwks, adds the public key to the set in that file, and replaces the file in one step.

  explain JWT --issuer URL [--token-endpoint URL] [--jwks FILE] [--client FILE]
          [--trusted-issuers FILE] [--profile oidc] [--endpoint URL] [--now SECONDS] [--json]
      Runs every check on a client assertion, in order. The first line of the output says what is wrong and what to do.
      JWT may be - for standard input. --client is a file with a client record (RFC 7591 member names), --jwks a file
      with a public JWK set. Without both, the signature is not checked. --trusted-issuers is a file with an array of
      { "issuer", "jwks" | "jwks_uri" | "discovery" }: the rules of that issuer apply to its tokens, with the keys in
      its jwks or in --jwks. The command prints nothing secret, sends no requests and uses no replay register.

  help, --help       Prints this text.
  --version          Prints the version of the package.

Exit status: 0 every check passed, 1 the assertion is refused, 2 the command could not run, 3 no check failed, but some
checks did not run.
The output is colored on a terminal, unless NO_COLOR is set.
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
