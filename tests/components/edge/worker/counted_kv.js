// workerd's own KV, counting what reaches it: the daily quota is small.
let counts = { GET: 0, PUT: 0 };
let broken = false;

export default {
  async fetch(request, env) {
    const { hostname, pathname, searchParams } = new URL(request.url);
    if (hostname === 'counts') {
      if (searchParams.has('broken')) broken = searchParams.get('broken') === 'true';
      return Response.json(counts);
    }
    counts[request.method] += 1;
    if (broken) return new Response('quota exceeded', { status: 429 });
    return env.KV.fetch(request);
  },
};
