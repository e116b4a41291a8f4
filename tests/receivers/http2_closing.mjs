// An HTTP/2 server that closes each connection once it has taken a number of requests: node http2_closing.mjs 100
//
// It listens on the Unix socket "socket" of the directory it runs in, with the certificate there, and writes the header
// "number" of each request that it processes to the file "processed".
import fs from 'node:fs';
import http2 from 'node:http2';

const limit = Number(process.argv[2]);
const server = http2.createSecureServer({
  cert: fs.readFileSync('certificate.pem'),
  key: fs.readFileSync('key.pem'),
});

const taken = new WeakMap();
server.on('stream', (stream, headers) => {
  const { session } = stream;
  const count = (taken.get(session) ?? 0) + 1;
  taken.set(session, count);
  stream.on('error', (error) => console.error(`a stream failed: ${error}`));
  stream.on('end', () => {
    fs.appendFileSync('processed', `${headers.number}\n`);
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  stream.resume();
  if (count === limit) session.close();
});
server.on('sessionError', (error) => console.error(`a connection failed: ${error}`));
server.listen('socket', () => console.error('listening'));
