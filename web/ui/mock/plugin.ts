/**
 * Development only: a small world behind `npm run mock`, so that the desk can be worked on without a telephone
 * system. Its messages are typed by the generated shapes, so it cannot drift from the real server unnoticed.
 * POST /mock/<act> (reset, arrive, caller_gone, miss, lose, stale, live, elsewhere, drop, expire) moves the world.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Plugin } from 'vite'
import { WebSocketServer, type WebSocket } from 'ws'
import { Rest } from './rest.ts'
import { SipPeer } from './sip.ts'
import { World } from './world.ts'

export function mockServer(): Plugin {
  return {
    name: 'murima-mock',
    configureServer(server) {
      const sip = new SipPeer()
      const world = new World(sip)
      const rest = new Rest()
      const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false })
      server.httpServer?.on('upgrade', (request, socket, head) => {
        const path = new URL(request.url ?? '/', 'http://mock').pathname
        if (path !== '/ws/v1/desk' && path !== '/ws/sip') return
        sockets.handleUpgrade(request, socket, head, (client: WebSocket) => {
          if (path === '/ws/sip') sip.attach(client)
          else world.attach(client, rest.signedIn)
        })
      })
      server.middlewares.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
        const url = new URL(request.url ?? '/', 'http://mock')
        if (url.pathname.startsWith('/mock/')) {
          world.act(url.pathname.slice(6), url.searchParams)
          return void response.end('ok')
        }
        if (!url.pathname.startsWith('/api/')) return next()
        void rest.answer(request, response, url)
      })
    },
  }
}
