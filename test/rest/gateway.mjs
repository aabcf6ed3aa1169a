// gateway.mjs: what stands before PostgREST on Supabase: takes /rest/v1/... and passes it on as
// /... . A pass can be replaced, for tests of what happens when an answer never arrives.
import http from 'node:http';
import { close, listen } from './servers.mjs';

const prefix = '/rest/v1';

// forward(socketPath, request, response): passes a request on; resolves when the answer is through.
export function forward(socketPath, request, response) {
  return new Promise((resolve) => {
    const path = request.url.slice(prefix.length) || '/';
    const options = { socketPath, path, method: request.method, headers: request.headers };
    const upstream = http.request(options, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
      answer.on('end', resolve);
    });
    upstream.on('error', () => {
      if (!response.headersSent) response.writeHead(502);
      response.end();
      resolve();
    });
    request.pipe(upstream);
  });
}

// startGateway(socketPath): a gateway before the PostgREST at that socket. Set .pass to do
// something else with each request than to forward it.
export async function startGateway(socketPath) {
  const gateway = { pass: (request, response) => forward(socketPath, request, response) };
  const server = http.createServer((request, response) => {
    if (request.url.startsWith(prefix)) gateway.pass(request, response);
    else response.writeHead(404).end();
  });
  gateway.url = `http://127.0.0.1:${await listen(server)}`;
  gateway.stop = () => close(server);
  return gateway;
}
