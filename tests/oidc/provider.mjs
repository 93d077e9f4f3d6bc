// An OpenID provider on loopback: oidc-provider with a person, a single-page app and a machine client.
//
// Usage: node provider.mjs AUDIENCE
//
// It prints one line of JSON, {"issuer": …}, as soon as it listens. It then reads commands from stdin, one in a line, and
// answers each with one line of JSON:
//
//   rotate        creates a key, publishes it beside the old one, and signs with it from now on
//   retire        publishes only the key that signs
//   claims JSON   adds these claims to access tokens: {"person": {…}, "app": {…}}
//
// It ends when stdin ends, so it never outlives the test that started it.

import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

const audience = process.argv[2]
let claims = { person: {}, app: {} }
const resource = 'https://numbers.example.com'
const scopes = ['numbers:read', 'numbers:rent', 'numbers:release'].join(' ')

const newKey = () => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  kid: randomUUID(), alg: 'ES256', use: 'sig',
})
let keys = [newKey()]

// A change of keys needs a new instance. The sessions and codes stay: all instances of a process share the store.
const provider = (issuer) => {
  const instance = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ['a key of this test process'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clients: [
      { client_id: 'crm-sync', client_secret: 'crm-sync-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
      { client_id: 'crm-web', token_endpoint_auth_method: 'none', redirect_uris: [`${issuer}/callback`] },
    ],
    scopes: ['openid', 'offline_access', ...scopes.split(' ')],
    pkce: { required: () => true, methods: ['S256'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (_, token) => (token.kind === 'ClientCredentials' ? claims.app : claims.person),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: scopes, audience, accessTokenFormat: 'jwt', accessTokenTTL: 3600, jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  })
  return instance.callback()
}

let answer
const server = createServer((request, response) => answer(request, response))
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  answer = provider(issuer)
  console.log(JSON.stringify({ issuer, resource }))
  const commands = {
    rotate: () => { keys = [newKey(), ...keys] },
    retire: () => { keys = keys.slice(0, 1) },
    claims: (json) => { claims = JSON.parse(json) },
  }
  const input = createInterface({ input: process.stdin })
  input.on('line', (line) => {
    const [name, ...rest] = line.split(' ')
    commands[name](rest.join(' '))
    answer = provider(issuer)
    console.log(JSON.stringify({ done: name, kid: keys[0].kid }))
  })
  input.on('close', () => process.exit(0))
})
