// Stands where Analytics Engine is: says what workerd sends, text as text.
export default {
  async fetch(request) {
    const point = await request.json();
    for (const [key, value] of Object.entries(point)) {
      if (Array.isArray(value)) point[key] = new TextDecoder().decode(new Uint8Array(value));
    }
    console.log(`point: ${JSON.stringify(point)}`);
    return new Response('');
  },
};
