import { startPostgres } from '../support/postgres_server.ts'
import { postgresServer, without } from '../support/programs.ts'
import { severalNodes } from './several_nodes.ts'

severalNodes('PostgreSQL', without(postgresServer), startPostgres)
