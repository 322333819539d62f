export default {
  fetch: (request) => fetch(request),
};
