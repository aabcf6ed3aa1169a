// receiver.mjs: the other end, for whoever gets the alerts: verifies a webhook, keeps it, and answers. To try it:
//   WEBHOOK_SECRET=whsec_... node receiver.mjs
// listens on 127.0.0.1:8080 (HOST, PORT) and prints what comes, one alert a line.
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { Webhook } from 'standardwebhooks';

const defaults = {
  max_bytes: 65_536,         // a longer body is refused
  remembered: 10_000,        // ids that are known again
  request_ms: 10_000,        // for the whole of a request
};

// createReceiver({ secret, keep, ...settings }): an http.Server. keep(alert, id) is called once for each id, and must be quick:
// it puts the alert where it is safe, a table or queue, and the work is done from there. When it throws, the sender gets 500,
// and tries again. Ids are remembered in memory: in a table a unique key of the id does the same, and outlives the process.
export function createReceiver({ secret, keep, ...changed }) {
  const { max_bytes, remembered, request_ms } = { ...defaults, ...changed };
  const webhook = new Webhook(secret);
  const kept = new Map();    // id: the promise of keep

  // bodyOf(request): its bytes as they came, which is what was signed; undefined when there are too many.
  async function bodyOf(request) {
    if (Number(request.headers['content-length']) > max_bytes) return undefined;
    const chunks = [];
    let length = 0;
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      length += chunk.length;
      if (length > max_bytes) return undefined;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  // A double that comes while the first is being kept waits for the same promise.
  function keepOnce(id, alert) {
    let keeping = kept.get(id);
    if (!keeping) {
      keeping = (async () => keep(alert, id))();
      keeping.catch(() => kept.delete(id));
      kept.set(id, keeping);
      if (kept.size > remembered) kept.delete(kept.keys().next().value);
    }
    return keeping;
  }

  async function answer(request) {
    if (request.method !== 'POST') return 405;
    const body = await bodyOf(request);
    if (!body) return 413;
    let alert;
    try {
      alert = webhook.verify(body, request.headers);   // the signature, and that the time is not 5 minutes off
    } catch {
      return 401;
    }
    await keepOnce(request.headers['webhook-id'], alert);
    return 204;
  }

  return http.createServer({ requestTimeout: request_ms, headersTimeout: request_ms, connectionsCheckingInterval: request_ms / 2 }, (request, response) => {
    request.on('error', () => {});                     // whoever hangs up gets no answer
    answer(request).catch(() => 500).then((status) => {
      // What was not read is not waited for.
      response.writeHead(status, request.complete ? {} : { Connection: 'close' }).end();
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { WEBHOOK_SECRET, HOST = '127.0.0.1', PORT = '8080' } = process.env;
  if (!WEBHOOK_SECRET) {
    console.error('receiver: WEBHOOK_SECRET is not set');
    process.exit(1);
  }
  const server = createReceiver({ secret: WEBHOOK_SECRET, keep: (alert) => console.log(JSON.stringify(alert)) });
  server.listen(Number(PORT), HOST, () => console.log(`listening on http://${HOST}:${server.address().port}`));
}
