// Stands where Cloudflare's network is: resolves the region, and makes the headers that it makes.
// A name without a binding has no DNS record. workerd's own fetch ignores resolveOverride.
export default {
  async fetch(request, env) {
    const host = request.cf?.resolveOverride ?? new URL(request.url).hostname;
    if (!(host in env)) {
      const headers = { 'cf-error-type': '1016', 'cf-error-origin': 'edge' };
      return new Response('error code: 1016', { status: 530, headers });
    }
    const headers = new Headers(request.headers);
    const visitor = headers.get('x-real-ip');
    headers.delete('x-real-ip');
    if (visitor) headers.set('cf-connecting-ip', visitor);
    else headers.delete('cf-connecting-ip');
    return env[host].fetch(new Request(request, { headers }));
  },
};
