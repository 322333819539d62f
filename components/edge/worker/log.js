/**
 * Workers Logs makes fields of an object, and only of one given as it is.
 *
 * @type {(event: string, fields: Record<string, unknown>) => void}
 */
export function log(event, fields) {
  console.log({ event, ...fields });
}
