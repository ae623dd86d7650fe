// Writes the API reference, docs/api, from the doc comments of what the package exports. `npm run docs:api [folder]`
// A public name without a doc comment, or a link that leads nowhere, is an error.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Application } from 'typedoc'

const root = fileURLToPath(new URL('..', import.meta.url))
const out = join(root, process.argv[2] ?? 'docs/api')

const entries = {
  'index.ts': 'passport-client-assertion-jwt',
  'oauth2orize/index.ts': 'oauth2orize',
  'cimd/index.ts': 'cimd',
  'dpop/index.ts': 'dpop',
  'resource_server/index.ts': 'resource-server',
  'stores/memory.ts': 'stores/memory',
  'stores/redis.ts': 'stores/redis',
  'stores/postgres.ts': 'stores/postgres',
  'federated/index.ts': 'federated',
  'testing/index.ts': 'testing',
}

const application = await Application.bootstrapWithPlugins({
  entryPoints: Object.keys(entries).map((name) => join(root, 'lib', name)),
  tsconfig: join(root, 'tsconfig.build.json'),
  plugin: ['typedoc-plugin-markdown'],
  name: 'API reference',
  readme: 'none',
  disableSources: true,
  hideGenerator: true,
  excludePrivate: true,
  excludeInternal: true,
  excludeExternals: true,
  githubPages: false,
  // Option types are not exported on purpose: docs/decisions/0040-public-names.md.
  validation: { notExported: false, invalidLink: true, notDocumented: true },
  requiredToBeDocumented: ['Class', 'Interface', 'TypeAlias', 'Function', 'Variable'],
  ...{
    router: 'module',
    entryFileName: 'README',
    hidePageHeader: true,
    hideBreadcrumbs: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    typeDeclarationFormat: 'table',
    useCodeBlocks: true,
    useHTMLAnchors: true, // the anchors of headings are not always those that links are written with
  },
})
const project = await application.convert()
if (project === undefined) process.exit(1)
const front = project.getChildByName('index')
if (front !== undefined) front.name = entries['index.ts']
application.validate(project)
rmSync(out, { recursive: true, force: true })
await application.outputs.writeOutput({ name: 'markdown', path: out }, project)
if (application.logger.hasErrors() || application.logger.hasWarnings()) process.exitCode = 1
