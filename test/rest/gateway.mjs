// gateway.mjs: what stands before PostgREST on Supabase: takes /rest/v1/... and passes it on as
// /... . How it passes requests can be replaced, to test what happens when the network fails.
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import { close, listen } from './servers.mjs';

const prefix = '/rest/v1';

// startGateway(socketPath): a gateway before the PostgREST at that socket. Set .pass to do something
// else with a request than gateway.forward, which is made of gateway.deliver.
export async function startGateway(socketPath) {
  const gateway = { deliver, forward };

  // deliver(request, body): sends a request on; resolves to PostgREST's answer, a stream.
  function deliver({ method, url, headers }, body) {
    return new Promise((resolve, reject) => {
      const path = url.slice(prefix.length) || '/';
      http.request({ socketPath, path, method, headers }, resolve).on('error', reject).end(body);
    });
  }

  // forward(request, response): the ordinary way of a request.
  async function forward(request, response) {
    try {
      const answer = await deliver(request, await buffer(request));
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    } catch {
      response.writeHead(502).end();
    }
  }

  gateway.pass = forward;
  const server = http.createServer({ maxHeaderSize: 65_536 }, (request, response) => {
    if (request.url.startsWith(prefix)) gateway.pass(request, response);
    else response.writeHead(404).end();
  });
  gateway.url = `http://127.0.0.1:${await listen(server)}`;
  gateway.stop = () => close(server);
  return gateway;
}
