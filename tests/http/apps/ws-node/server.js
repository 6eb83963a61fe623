// Says back what it hears; /silent says nothing.
const http = require('http')
const { WebSocketServer } = require('ws')

const server = http.createServer((_, response) => response.end('no socket'))
const sockets = new WebSocketServer({ server, perMessageDeflate: true, maxPayload: 4 << 20 })

sockets.on('connection', (socket, request) => {
  socket.on('error', () => {}) // it is closed with the code that says why
  if (request.url === '/silent') return
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

server.listen(process.env.PORT, process.env.BIND_ADDRESS)
process.on('SIGTERM', () => {
  for (const client of sockets.clients) client.close(1012, 'a new release')
  server.close(() => process.exit(0))
  setTimeout(() => process.exit(0), 2000)
})
