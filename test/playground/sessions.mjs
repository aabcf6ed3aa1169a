// sessions.mjs DATA SOCKET EXTENSION: lets psql talk to PGlite. Each connection to the Unix socket SOCKET starts a PGlite on
// the directory DATA, where the scripts of directory EXTENSION can be created, and ends with it: so it has the settings and
// roles of a new session. PGlite has one session at a time: a new connection ends the one before, as \c of psql would.
// Simple queries alone are understood, which is what psql sends.
import { readFile, readdir } from 'node:fs/promises';
import net from 'node:net';
import { isMainThread, Worker } from 'node:worker_threads';
import { PGlite } from '../../examples/playground/database.mjs';

// Requests that come in place of a startup packet.
const requests = { cancel: 80877102, ssl: 80877103, gss: 80877104 };

// messages(socket): yields { type, message }; type is empty for what comes before the session.
async function* messages(socket) {
  let rest = Buffer.alloc(0);
  let head = 0;      // bytes before the length: the type
  for await (const chunk of socket) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= head + 4 && rest.length >= head + rest.readInt32BE(head)) {
      const message = rest.subarray(0, head + rest.readInt32BE(head));
      rest = rest.subarray(message.length);
      yield { type: message.toString('latin1', 0, head), message };
      if (head === 0 && !Object.values(requests).includes(message.readInt32BE(4))) head = 1;
    }
  }
}

// startupParameters(message): user, database and what else a startup packet names.
function startupParameters(message) {
  const words = message.toString('utf8', 8).split('\0');
  return Object.fromEntries(words.flatMap((word, i) => (i % 2 === 0 && word ? [[word, words[i + 1]]] : [])));
}

const [dataDir, socketPath, extensionDir] = process.argv.slice(2);
let current;

async function startSession({ user, database }) {
  await current?.close();
  current = await PGlite.create({ dataDir, username: user, database });
  for (const name of (await readdir(extensionDir)).filter((file) => /^integration_health.*\.(control|sql)$/.test(file))) {
    current.copyToFS(`/pglite/share/postgresql/extension/${name}`, await readFile(`${extensionDir}/${name}`));
  }
  return current;
}

async function serve(socket) {
  let db;
  let copy;          // the COPY ... FROM STDIN whose rows are coming, and those
  const answer = async (message) => Buffer.from(await db.execProtocolRaw(new Uint8Array(message)));
  try {
    for await (const { type, message } of messages(socket)) {
      if (type === '' && message.readInt32BE(4) === requests.cancel || type === 'X') break;
      if (type === '' && Object.values(requests).includes(message.readInt32BE(4))) {
        socket.write('N');
      } else if (type === '') {
        db = await startSession(startupParameters(message));
        socket.write(await answer(message));
      } else if (type === 'Q' && /^\s*COPY\b[^;]*\bFROM STDIN\b/i.test(message.toString('utf8', 5))) {
        // PGlite wants the rows together with the command, and psql sends none before it is asked to.
        copy = [message];
        socket.write(copyInResponse);
      } else if (copy) {
        copy.push(message);
        if (type === 'd') continue;
        const answered = await answer(Buffer.concat(copy));
        copy = undefined;
        socket.write(answered[0] === 'G'.charCodeAt(0) ? answered.subarray(1 + answered.readInt32BE(1)) : answered);
      } else {
        socket.write(await answer(message));
      }
    }
  } finally {
    socket.end();
    if (db && db === current) {
      current = undefined;
      await db.close();
    }
  }
}
const copyInResponse = Buffer.from([...Buffer.from('G'), 0, 0, 0, 7, 0, 0, 0]);   // text, of no columns that it would name

// In a thread with a larger stack: what PostgreSQL allows itself, 2 MB of its own, is more than Node's main thread has.
if (isMainThread) {
  new Worker(new URL(import.meta.url), { argv: process.argv.slice(2), resourceLimits: { stackSizeMb: 32 } });
} else {
  net.createServer((socket) => serve(socket).catch((error) => console.error(error))).listen(socketPath);
}
