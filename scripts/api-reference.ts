// Writes the API reference, docs/api, from the doc comments of what the package exports. `npm run docs:api [folder]`
// A public name without a doc comment, or a link that leads nowhere, is an error.
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  Application,
  Comment,
  type DeclarationReflection,
  PageEvent,
  type ProjectReflection,
  ReflectionKind,
} from 'typedoc'

const root = fileURLToPath(new URL('..', import.meta.url))
const out = join(root, process.argv[2] ?? 'docs/api')

/** The files of lib/ that are entry points, and what stands behind the name of the package in an import. */
const ENTRIES: Readonly<Record<string, string>> = {
  'index.ts': '',
  'oauth2orize/index.ts': '/oauth2orize',
  'cimd/index.ts': '/cimd',
  'dpop/index.ts': '/dpop',
  'resource_server/index.ts': '/resource-server',
  'stores/memory.ts': '/stores/memory',
  'stores/redis.ts': '/stores/redis',
  'stores/postgres.ts': '/stores/postgres',
  'federated/index.ts': '/federated',
  'smart/index.ts': '/smart',
  'testing/index.ts': '/testing',
}

/** The tasks that names are grouped by, and the files and folders of lib/ that serve each. */
const TASKS: readonly (readonly [task: string, places: readonly string[]])[] = [
  [
    'Authenticate clients',
    ['passport', 'client_authentication', 'client.ts', 'client_secret.ts', 'client_problems.ts'],
  ],
  ['Verify client assertions', ['assertion', 'keys', 'remote', 'replay_register.ts']],
  ['Serve endpoints', ['endpoints', 'http', 'hosts', 'parameters.ts']],
  ['Issue tokens', ['exchanges', 'token', 'scope.ts', 'binding.ts']],
  ['Ask users: the authorization side', ['oauth2orize', 'code', 'consent', 'pushed']],
  ['Keep sessions', ['session']],
  ['Store', ['stores']],
  ['Limit tokens to resources', ['resource']],
  ['Protect an API', ['resource_server']],
  ['Accept client documents (MCP)', ['cimd', 'client_document.ts']],
  ['Accept tokens of other issuers', ['federated', 'federated_credentials.ts']],
  ['Serve SMART on FHIR', ['smart']],
  ['Bind tokens to a key', ['dpop']],
  ['Report: errors and events', ['errors.ts', 'events.ts']],
  ['Test', ['testing', 'clock.ts']],
]

const FOLDERS = {
  classes: ReflectionKind.Class,
  functions: ReflectionKind.Function,
  interfaces: ReflectionKind.Interface,
  'type-aliases': ReflectionKind.TypeAlias,
  variables: ReflectionKind.Variable,
}

const application = await Application.bootstrapWithPlugins({
  entryPoints: Object.keys(ENTRIES).map((name) => join(root, 'lib', name)),
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
  // Option types are not exported on purpose: docs/decisions/0040-public-names.md. Their members stand on the page of the
  // function that takes them (`@inline`).
  validation: { notExported: false, invalidLink: true, notDocumented: true },
  requiredToBeDocumented: ['Class', 'Interface', 'TypeAlias', 'Function', 'Variable'],
  ...{
    router: 'member',
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
application.validate(project)

const entryOf = (name: DeclarationReflection): string =>
  ENTRIES[`${name.parent?.name}.ts`] ?? ENTRIES[`${name.parent?.name}/index.ts`] ?? ''
const placeOf = (name: DeclarationReflection): string =>
  (project?.getSymbolIdFromReflection(name)?.packagePath ?? '').replace(/^lib\//, '').split('/')[0] ?? ''

/** The page that the router makes for a name. */
function pageOf(name: DeclarationReflection): string {
  const folder = (Object.entries(FOLDERS) as [string, ReflectionKind][]).find(([, kind]) => name.kindOf(kind))?.[0]
  const page = `${name.parent?.name.replace(/\.ts$/, '')}/${folder}/${name.name}.md`
  if (!existsSync(join(out, page))) application.logger.error(`no page for ${name.name}: ${page}`)
  return page
}

/** The first sentence of a doc comment, for a list. */
function summaryOf(name: DeclarationReflection): string {
  const comment = name.comment ?? name.signatures?.[0]?.comment
  const text = Comment.combineDisplayParts(comment?.summary).replace(/\{@link (\S+?)\}/g, '`$1`')
  return (/^[\s\S]*?\.(?=\s+[A-Z`]|\s*$)/.exec(text)?.[0] ?? text)
    .replace(/\s+/g, ' ')

    .replaceAll('|', '\\|')
}

/** The front page: every public name once, by task. */
function writeIndex(project: ProjectReflection): void {
  const names = (project.children ?? []).flatMap(({ children = [] }) => children)
  const left = new Set(names)
  const lines = [
    '# API reference',
    '',
    'Every public name, by task. Options are listed on the page of the function that takes them.',
    '',
  ]
  for (const [task, places] of TASKS) {
    const chosen = names.filter((name) => places.includes(placeOf(name)))
    lines.push(`## ${task}`, '', '| name | from | what it is |', '| --- | --- | --- |')
    // What people call comes first, then the types.
    const rank = (name: DeclarationReflection) => (name.kindOf(ReflectionKind.SomeType & ~ReflectionKind.Class) ? 1 : 0)
    for (const name of chosen.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name))) {
      left.delete(name)
      lines.push(`| [\`${name.name}\`](${pageOf(name)}) | \`…${entryOf(name)}\` | ${summaryOf(name)} |`)
    }
    lines.push('')
  }
  if (left.size > 0) application.logger.error(`no task for ${[...left].map(({ name }) => name).join(', ')}`)
  writeFileSync(join(out, 'README.md'), `${lines.join('\n').replaceAll('`…`', '`.`').trimEnd()}\n`)
}

/** Links sections of RFCs, except in code and in links. */
const linkSections = (text: string): string =>
  text.replace(
    /^```[\s\S]*?^```|`[^`\n]*`|\[[^\]\n]*\]\([^)\n]*\)|\bRFC (\d{3,5})(?: §(\d+(?:\.\d+)*))?/gm,
    (match, rfc, section) =>
      rfc === undefined
        ? match
        : `[${match}](https://www.rfc-editor.org/rfc/rfc${rfc}${section === undefined ? '' : `#section-${section}`})`,
  )

application.renderer.on(PageEvent.END, (page) => {
  // The members of an inlined type have rows of their own below it.
  page.contents = (page.contents ?? '').replace(/^(\| `\w+\??` \| )\\\{ .* \\\}( \| .*\|)$/gm, '$1`object`$2')
  page.contents = linkSections(page.contents)
})
rmSync(out, { recursive: true, force: true })
await application.outputs.writeOutput({ name: 'markdown', path: out }, project)
writeIndex(project)
if (application.logger.hasErrors() || application.logger.hasWarnings()) process.exitCode = 1
