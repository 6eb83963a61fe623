// The same for node's own server.
const http = require('http')
const crypto = require('crypto')

function events (response, query) {
  let number = 0
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const next = () => {
    response.write(`data: ${number++}\n\n`)
    if (number < Number(query.get('n'))) setTimeout(next, Number(query.get('gap')) * 1000)
    else response.end()
  }
  next()
}

function echo (request, response) {
  const hash = crypto.createHash('sha256')
  let length = 0
  request.on('data', part => { hash.update(part); length += part.length })
  request.on('end', () => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({
      method: request.method,
      target: request.url,
      headers: request.headers,
      client: request.headers['x-real-ip'],
      scheme: request.headers['x-forwarded-proto'],
      length,
      sha256: hash.digest('hex')
    }))
  })
}

http.createServer((request, response) => {
  console.log(request.method, request.url) // as the other servers do
  const url = new URL(request.url, 'http://localhost')
  if (url.pathname === '/early') {
    response.writeHead(401, { connection: 'close' })
    response.end('who are you?')
  } else if (url.pathname === '/cookies') {
    response.setHeader('set-cookie', 'all=' + 'c'.repeat(Number(url.searchParams.get('bytes'))))
    response.end('baked')
  } else if (url.pathname === '/events') {
    events(response, url.searchParams)
  } else if (url.pathname === '/cut') {
    response.write('begun')
    setTimeout(() => response.socket.destroy(), 100)
  } else {
    echo(request, response)
  }
}).listen(process.env.PORT, process.env.BIND_ADDRESS)
