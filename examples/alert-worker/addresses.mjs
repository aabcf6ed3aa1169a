// addresses.mjs: which addresses are on the public internet. Whoever may name a URL could otherwise have the worker call
// what only its own network can reach: a database, a router, the metadata service of a cloud.
import { lookup } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import { Told } from './texts.mjs';

// What IANA's registries of special-purpose addresses hold back from the public internet.
const reserved4 = listOf('ipv4', [
  '0.0.0.0/8',          // this network, and the unspecified address
  '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16',                // private
  '100.64.0.0/10',      // behind a carrier's NAT
  '127.0.0.0/8',        // loopback
  '169.254.0.0/16',     // link-local: metadata services
  '192.0.0.0/24', '192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '198.18.0.0/15',   // protocols, documentation, benchmarks
  '192.88.99.0/24',     // 6to4 relays
  '224.0.0.0/4',        // multicast
  '240.0.0.0/4',        // reserved, and broadcast
]);
// Of IPv6 only this is given out; loopback, unspecified, link-local, unique local and multicast lie outside of it.
const global6 = listOf('ipv6', ['2000::/3']);
const reserved6 = listOf('ipv6', [
  '2001::/23',          // protocols; Teredo, which holds an IPv4 address
  '2001:db8::/32', '3fff::/20',                                   // documentation
  '2002::/16',          // 6to4, which holds an IPv4 address
]);

function listOf(family, subnets) {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [address, bits] = subnet.split('/');
    list.addSubnet(address, Number(bits), family);
  }
  return list;
}

// groupsOf(address): the eight numbers of an IPv6 address.
function groupsOf(address) {
  const [, text] = /^\[(.*)\]$/.exec(new URL(`http://[${address}]`).hostname);
  const [head, tail] = text.split('::').map((part) => part.split(':').filter(Boolean));
  const groups = tail ? [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail] : head;
  return groups.map((group) => parseInt(group, 16));
}

// isPublic(address): whether an address, as the resolver gives it, is on the public internet. An IPv4 address within an IPv6
// one counts as itself: mapped (::ffff:0:0/96), or behind NAT64 (64:ff9b::/96), as networks with IPv6 only have it.
export function isPublic(address) {
  if (isIP(address) === 4) return !reserved4.check(address, 'ipv4');
  if (isIP(address) !== 6 || address.includes('%')) return false;
  const groups = groupsOf(address);
  const prefix = groups.slice(0, 6).join(':');
  if (prefix === '0:0:0:0:0:65535' || prefix === `${0x64}:${0xff9b}:0:0:0:0`) {
    return isPublic(groups.slice(6).flatMap((group) => [group >> 8, group & 255]).join('.'));
  }
  return global6.check(address, 'ipv6') && !reserved6.check(address, 'ipv6');
}

const refusal = () => new Told('its address is private, and allow_private is not set');

// requirePublic(hostname): throws for the hostname of a URL that is a private address itself, for which nothing is looked up.
export function requirePublic(hostname) {
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) && !isPublic(address)) throw refusal();
}

// publicLookup(resolve): a lookup for a request of Node, which connects to what it answers and looks nothing up again: a
// name cannot lead elsewhere between the check and the connection. Fails when one of the addresses is private.
export const publicLookup = (resolve = lookup) => (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) callback(error);
    else if (addresses.length === 0 || !addresses.every(({ address }) => isPublic(address))) callback(refusal());
    else if (options.all) callback(null, addresses);
    else callback(null, addresses[0].address, addresses[0].family);
  });
};
