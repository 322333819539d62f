// The Worker with a defect put in: its environment throws once a request is being handled.
import worker from 'worker.js';

export default {
  fetch(request, env, ctx) {
    const broken = { ...env, get STATUS_TOKEN() { throw new Error('defect'); } };
    return worker.fetch(request, broken, ctx);
  },
};
