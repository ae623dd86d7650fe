// The package in NestJS (12, on Express), in two ways. Proved in test/recipes/nestjs.test.ts.
//
// 1. The token endpoint: a handler of this package mounted in front of the application. It is complete, and Nest's parsers,
//    guards and filters stay out of it, so that its answers are OAuth's.
// 2. An endpoint of your own behind client authentication: the strategy, Nest's AuthGuard, and a filter that answers as OAuth does.
import 'reflect-metadata'
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  HttpCode,
  Module,
  Post,
  Req,
  UseFilters,
  UseGuards,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { AuthGuard, PassportStrategy } from '@nestjs/passport'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { Request, Response } from 'express'
import {
  type Client,
  type ClientAuthentication,
  createAssertionVerifier,
  createClientCredentialsExchange,
  createTokenEndpoint,
  createTokens,
  OAuthError,
  Strategy,
} from 'passport-client-assertion-jwt'
import { createMemoryReplayRegister } from 'passport-client-assertion-jwt/stores/memory'

const issuer = process.env['ISSUER'] ?? 'http://localhost:3000'
const clients = JSON.parse(process.env['CLIENTS'] ?? '[]') as Client[]
const findClient = (clientId: string) => clients.find((client) => client.client_id === clientId)
// One verifier for everything: its caches and its replay register serve all endpoints.
const verifyAssertion = createAssertionVerifier({
  issuer,
  tokenEndpoint: `${issuer}/token`,
  findClient,
  replayRegister: createMemoryReplayRegister(), // with more than one process: Redis or PostgreSQL
})

class AssertionStrategy extends PassportStrategy(Strategy, 'client-assertion-jwt') {
  constructor() {
    super({ verifyAssertion, endpoint: `${issuer}/requests` })
  }

  /** The application's last word on a client that proved who it is. `false` refuses it. */
  validate(client: Client, _authentication: ClientAuthentication): Client | false {
    return client
  }
}

/** Answers refusals as RFC 6749 §5.2 says; Nest would respond with 401 and other JSON. */
@Catch()
class OAuthErrorFilter implements ExceptionFilter {
  catch(exception: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>()
    // No assertion in the request: AuthGuard's own UnauthorizedException.
    const isMissing = (exception as { getStatus?: () => number }).getStatus?.() === 401
    const error =
      exception instanceof OAuthError ? exception : new OAuthError(isMissing ? 'invalid_client' : 'server_error')
    response
      .status(error.status)
      .set({ 'Cache-Control': 'no-store', ...error.headers })
      .json({ error: error.code, error_description: error.message })
  }
}

@Controller('requests')
@UseFilters(OAuthErrorFilter)
class RequestsController {
  @Post()
  @HttpCode(201)
  @UseGuards(AuthGuard('client-assertion-jwt'))
  create(@Req() request: Request): object {
    const { client_id } = request.user as Client
    return { accepted_from: client_id, method: (request.authInfo as ClientAuthentication).method }
  }
}

@Module({ controllers: [RequestsController], providers: [AssertionStrategy] })
class ApplicationModule {}

const application = await NestFactory.create<NestExpressApplication>(ApplicationModule, { logger: ['error'] })
application.disable('x-powered-by')
const tokens = createTokens({ issuer, baseSecret: process.env['BASE_SECRET'] ?? '' })
application.use(
  '/token',
  createTokenEndpoint({ findClient, verifyAssertion, exchanges: [createClientCredentialsExchange({ tokens })] }),
)
await application.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1')
console.log(`Listening at ${await application.getUrl()}`)

process.once('SIGTERM', () => void application.close())
