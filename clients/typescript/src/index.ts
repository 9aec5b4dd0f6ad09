export * from "./client.js";
export { MarketDataError, type ErrorKind } from "./errors.js";
export { follow, type ServerEvent } from "./events.js";
export type { Options } from "./http.js";
export { parseJson, writeJson, type Json } from "./json.js";
export * from "./schema.js";
export * from "./stream.js";
export { isoOfNs, nsOfIso, type Time } from "./times.js";
