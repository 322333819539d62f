// Fires the Worker's cron trigger once for each request.
export default {
  async fetch(_request, env) {
    const result = await env.EDGE.scheduled({ scheduledTime: new Date(), cron: '* * * * *' });
    return Response.json(result);
  },
};
