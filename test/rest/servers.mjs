// servers.mjs: starting and stopping HTTP servers on loopback, at a port that the system chooses.

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
