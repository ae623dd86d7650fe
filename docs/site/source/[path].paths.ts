import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const SHOWN = /\.(ts|cjs|css|json|sql)$/

/** The programs that the documents link to, each as a page. */
export default {
  paths() {
    const files = readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
      .map((name) => `examples/${name}`)
      .filter((name) => SHOWN.test(name) && !name.includes('node_modules') && statSync(join(root, name)).isFile())
    return [...files, 'LICENSE'].map((name) => {
      const kind = name.slice(name.lastIndexOf('.') + 1).replace('cjs', 'js')
      const text = readFileSync(join(root, name), 'utf8')
      return {
        params: { path: name.replaceAll('.', '_') },
        content: `# ${name}\n\n\`\`\`\`${/^\w+$/.test(kind) && kind !== 'LICENSE' ? kind : ''}\n${text}\n\`\`\`\`\n`,
      }
    })
  },
}
