// The Worker with a clock of its own: the header x-test-clock, in milliseconds, sets it forward.
import worker from 'worker.js';

const Real = Date;
let ahead = 0;
globalThis.Date = class extends Real {
  constructor(...parts) {
    super(...(parts.length > 0 ? parts : [Real.now() + ahead]));
  }
  static now() {
    return Real.now() + ahead;
  }
};

export default {
  fetch(request, env, ctx) {
    if (request.headers.has('x-test-clock')) {
      ahead = Number(request.headers.get('x-test-clock'));
      return new Response('set');
    }
    return worker.fetch(request, env, ctx);
  },
  scheduled: (event, env) => worker.scheduled(event, env),
};
