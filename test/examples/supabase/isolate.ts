// isolate.ts: an instance of a function in Deno, which is what Supabase's runtime is made of. What it adds, as Supabase
// documents it: a port, with --edge EdgeRuntime.waitUntil, and at SIGUSR1 the event beforeunload. Arguments: the
// function's module, --edge.
const serve = Deno.serve as (options: Deno.ServeTcpOptions, handler: Deno.ServeHandler) => unknown;
const onListen = ({ port }: Deno.NetAddr) => console.log(`port ${port}`);
Object.assign(Deno, { serve: (handler: Deno.ServeHandler) => serve({ hostname: '127.0.0.1', port: 0, onListen }, handler) });

if (Deno.args.includes('--edge')) {
  const waitUntil = async (work: Promise<unknown>) => {
    console.log('waiting');
    await work;
    console.log('waited');
  };
  Object.assign(globalThis, { EdgeRuntime: { waitUntil } });
}
Deno.addSignalListener('SIGUSR1', () => dispatchEvent(new CustomEvent('beforeunload', { detail: { reason: 'wall_clock' } })));

await import(Deno.args[0]);
