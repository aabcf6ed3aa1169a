// servers.mjs: starting and stopping HTTP servers on loopback, at a port that the system chooses.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';

// listen(server): returns the port.
export function listen(server) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
}

// close(server): also ends what is still connected.
export function close(server) {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

// selfSigned(host): { key, cert } of a certificate for this host that is its own issuer.
export function selfSigned(host) {
  const dir = mkdtempSync(`${tmpdir()}/tls.`);
  try {
    const [key, cert] = [`${dir}/key.pem`, `${dir}/cert.pem`];
    execFileSync('openssl', [
      'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '1', '-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`,
    ], { stdio: 'ignore' });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
