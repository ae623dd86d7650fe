import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DefaultTheme, defineConfig } from 'vitepress'
import { anchorOf } from '../../../test/support/markdown.ts'

// The pages are those of the repository: the same files read well there and here, and links between them work in both places.
const root = fileURLToPath(new URL('../../..', import.meta.url))

const page = (text: string, name: string): DefaultTheme.SidebarItem => ({ text, link: `/${name}` })

const sidebar: DefaultTheme.SidebarItem[] = [
  {
    text: 'Start',
    items: [
      page('Getting started', 'start'),
      page('I want to …', 'overview'),
      page('Adopting, step by step', 'adopting'),
      page('Recipes', 'recipes'),
      page('Example server', 'examples/'),
    ],
  },
  {
    text: 'Build',
    items: [
      page('Authorization side', 'authorization'),
      page('Client assertions', 'assertions'),
      page('Sessions', 'sessions'),
      page('Extending', 'extending'),
      page('Testing', 'testing'),
    ],
  },
  {
    text: 'MCP, workloads, FAPI',
    items: [
      page('MCP clients', 'mcp'),
      page('Client documents', 'client-documents'),
      page('Resource indicators', 'resources'),
      page('Resource server', 'resource-server'),
      page('Workloads', 'workloads'),
      ...(existsSync(join(root, 'docs/smart.md')) ? [page('SMART', 'smart')] : []),
      page('Pushed requests', 'pushed-requests'),
      page('DPoP', 'dpop'),
      page('FAPI 2.0', 'fapi'),
    ],
  },
  {
    text: 'Operate',
    items: [
      page('Operating', 'operating'),
      page('Scaling', 'scaling'),
      page('Security model', 'security'),
      page('Refusal reasons', 'reasons'),
      page('Command line', 'command-line'),
      page('Performance', 'performance'),
    ],
  },
  { text: 'Move', items: [page('From Charon', 'from-charon'), page('From APIac', 'from-apiac')] },
  {
    text: 'Look up',
    items: [
      page('API reference', 'api/'),
      ...(existsSync(join(root, 'docs/rules/README.md')) ? [page('Rules', 'rules/')] : []),
      page('Architecture', 'architecture'),
      page('Decisions', 'decisions/'),
      page('Changelog', 'changelog'),
      page('Contributing', 'contributing'),
    ],
  },
]

/** The names of the API reference by task: the headings and tables of its front page. */
function readApiSidebar(): DefaultTheme.SidebarItem[] {
  const [, ...tasks] = readFileSync(join(root, 'docs/api/README.md'), 'utf8').split(/^## /m)
  const groups = tasks.map((task) => ({
    text: task.split('\n', 1)[0] ?? '',
    collapsed: true,
    items: [...task.matchAll(/^\| \[`(\w+)`\]\(([^)]+)\.md\)/gm)].map(([, name = '', path = '']) =>
      page(name, `api/${path}`),
    ),
  }))
  return [{ text: 'API reference', items: [page('All names', 'api/'), page('Documentation', 'overview')] }, ...groups]
}

const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#3451b2"/><path d="M10.5 3a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5M9 7l-5 5v1.500h2V12h1.500v-1.500L10 8" fill="#fff"/></svg>'

/** Where a page is on the site, unless it follows from its path. */
const NAMES: Readonly<Record<string, string>> = {
  'README.md': 'start.md',
  'docs/README.md': 'overview.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'SECURITY.md': 'reporting.md',
}

const addressOf = (path: string): string =>
  NAMES[path] ?? path.replace(/^docs\/(site\/)?/, '').replace(/(^|\/)README\.md$/, '$1index.md')

/**
 * Links are those of the repository, relative to the file they stand in. A folder is its README; a file that is not a
 * page has a page that shows it (source/[path].paths.ts).
 */
function linkOnSite(href: string, file: string): string {
  if (/^[a-z]+:|^[#/]/i.test(href)) return href
  const [target = '', anchor] = href.split('#')
  const path = relative(root, join(dirname(file), target))
  const readme = join(path, 'README.md')
  const name = path.endsWith('.md')
    ? addressOf(path)
    : existsSync(join(root, readme))
      ? addressOf(readme)
      : `source/${path.replaceAll('.', '_')}.md`
  return `/${name.replace(/(index)?\.md$/, '')}${anchor === undefined ? '' : `#${anchor}`}`
}

/** The tables of rules have six columns: they use the width of the window. */
const RULES_STYLE =
  '.rules .container,.rules .content,.rules .content-container{max-width:none!important}' +
  '.rules .vp-doc td{vertical-align:top;font-size:13px;line-height:20px}.rules .vp-doc td:nth-child(2){min-width:240px}'

/** Tests are named on the site, and linked in the repository only. */
const isTestFile = (href: string, file: string): boolean =>
  !/^[a-z]+:|^[#/]/i.test(href) && relative(root, join(dirname(file), href)).startsWith('test/')

const NOT_LINKED = { isLinked: false }

/** The file in the repository; `path` is where it is after the rewrites. */
const realPathOf = ({ realPath, path }: { realPath?: string; path: string }): string => realPath ?? path

export default defineConfig({
  title: 'passport-client-assertion-jwt',
  description: 'Modern client authentication and safe tokens for Passport, oauth2orize and Express',
  lang: 'en',
  head: [
    ['link', { rel: 'icon', href: `data:image/svg+xml,${encodeURIComponent(ICON)}` }],
    ['style', {}, RULES_STYLE],
  ],
  transformPageData(page) {
    if (page.relativePath.startsWith('rules/')) Object.assign(page.frontmatter, { aside: false, pageClass: 'rules' })
  },
  srcDir: '../..',
  outDir: '../../.tmp/site',
  cacheDir: '../../.tmp/vitepress',
  srcExclude: [
    '{.*,dist,lib,node_modules,scripts,test}/**',
    'examples/**/node_modules/**',
    'docs/site/.vitepress/**',
    'CODE_OF_CONDUCT.md',
  ],
  rewrites: addressOf,
  ignoreDeadLinks: 'localhostLinks',
  cleanUrls: false,
  metaChunk: true,
  markdown: {
    anchor: { slugify: anchorOf }, // the anchors of the repository's pages
    languageAlias: { cjs: 'js' },
    config(markdown) {
      const before = markdown.renderer.rules.link_open
      const after = markdown.renderer.rules.link_close
      markdown.renderer.rules.link_open = (tokens, index, options, env, self) => {
        const token = tokens[index]
        const href = token?.attrGet('href') ?? ''
        const close = tokens.slice(index).find(({ type }) => type === 'link_close')
        if (token && close && isTestFile(href, realPathOf(env))) {
          close.meta = NOT_LINKED
          return '<span>'
        }
        token?.attrSet('href', linkOnSite(href, realPathOf(env)))
        return before?.(tokens, index, options, env, self) ?? self.renderToken(tokens, index, options)
      }
      markdown.renderer.rules.link_close = (tokens, index, options, env, self) =>
        tokens[index]?.meta === NOT_LINKED
          ? '</span>'
          : (after?.(tokens, index, options, env, self) ?? self.renderToken(tokens, index, options))
    },
  },
  themeConfig: {
    nav: [
      { text: 'Start', link: '/start' },
      { text: 'I want to …', link: '/overview' },
      { text: 'API', link: '/api/' },
    ],
    sidebar: { '/api/': readApiSidebar(), '/': sidebar },
    outline: [2, 3],
    search: { provider: 'local' },
    externalLinkIcon: true,
  },
})
