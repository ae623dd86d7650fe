// The texts that rules come from, and how their sections are linked. `docs/rules` names a source as here: "RFC 7523 §3".

const RFC = 'https://www.rfc-editor.org/rfc/rfc'
const DRAFT = 'https://www.ietf.org/archive/id/draft-ietf-oauth-'

/** Texts other than RFCs: where they are, and the fragment that a section number follows. */
const TEXTS: Readonly<Record<string, { readonly url: string; readonly fragment: string }>> = {
  'OpenID Core': { url: 'https://openid.net/specs/openid-connect-core-1_0.html', fragment: 'rfc.section.' },
  'OpenID Registration': {
    url: 'https://openid.net/specs/openid-connect-registration-1_0.html',
    fragment: 'rfc.section.',
  },
  'OpenID Discovery': { url: 'https://openid.net/specs/openid-connect-discovery-1_0.html', fragment: 'rfc.section.' },
  'FAPI 2.0': { url: 'https://openid.net/specs/fapi-security-profile-2_0-final.html', fragment: 'section-' },
  // The version whose section numbers were read. Numbers differ between versions.
  CIMD: { url: `${DRAFT}client-id-metadata-document-02.html`, fragment: 'section-' },
  'ID-JAG': { url: `${DRAFT}identity-assertion-authz-grant-04.html`, fragment: 'section-' },
  SPIFFE: { url: `${DRAFT}spiffe-client-auth-02.html`, fragment: 'section-' },
}

/** Texts whose parts have names: the name in the tables, and the part. */
const PARTS: Readonly<Record<string, string>> = {
  'SMART: asymmetric': 'https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html',
  'SMART: backend services': 'https://hl7.org/fhir/smart-app-launch/backend-services.html',
  'SMART: conformance': 'https://hl7.org/fhir/smart-app-launch/conformance.html',
  'SMART: app launch': 'https://hl7.org/fhir/smart-app-launch/app-launch.html',
  'Fetch: CORS': 'https://fetch.spec.whatwg.org/#http-cors-protocol',
  'CSP: form-action': 'https://www.w3.org/TR/CSP3/#directive-form-action',
}

/** The URL of a source, or `undefined` if the name is none. `decisions` are the files of docs/decisions. */
export function urlOfSource(name: string, decisions: readonly string[]): string | undefined {
  const rfc = /^RFC (\d{4,5}) (?:§(\d+(?:\.\d+)*)|appendix ([A-Z](?:\.\d+)?))$/.exec(name)
  if (rfc) return `${RFC}${rfc[1]}#${rfc[2] === undefined ? `appendix-${rfc[3]}` : `section-${rfc[2]}`}`
  const [, decision] = /^decision (\d{4})$/.exec(name) ?? []
  if (decision !== undefined) {
    const file = decisions.find((each) => each.startsWith(`${decision}-`))
    return file === undefined ? undefined : `../decisions/${file}`
  }
  if (Object.hasOwn(PARTS, name)) return PARTS[name]
  const [, text = '', section = ''] = /^(.+) §(\d+(?:\.\d+)*)$/.exec(name) ?? []
  const found = Object.hasOwn(TEXTS, text) ? TEXTS[text] : undefined
  return found && `${found.url}#${found.fragment}${section}`
}
