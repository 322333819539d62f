// Stands where Analytics Engine is: takes points, and forgets them.
export default { fetch: () => new Response('') };
