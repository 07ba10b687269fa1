// Delays, and the meaning of close codes (specification, "Error Handling" and "Reconnection Strategy").
// Pure: no page, socket or clock.

export const MAX_ATTEMPTS = 5;
export const PING_S = 30;
export const ANSWER_S = 10;
export const STABLE_S = 30;
export const BAD_FRAMES = 20;
const MAX_WAIT_S = 300;

// Before attempt n: min(2^n, 30) s, ±20 % so that many clients do not reconnect at the same moment.
export function backoff(attempt, random) {
  return Math.min(2 ** attempt, 30) * (0.8 + 0.4 * random);
}

// After a rate limit: at least as long as the server says, but at most 5 minutes.
export function rateLimitDelay(attempt, random, retryAfter) {
  return Math.min(Math.max(retryAfter || 0, backoff(attempt, random)), MAX_WAIT_S);
}

export function retryAfterFromReason(reason) {
  return Number(/retry_after=(\d{1,6})/.exec(reason)?.[1] ?? 0);
}

const STOPS = new Set([1002, 1003, 1007, 1008, 1010]);

export const REPLACED = 4010;

// Returns "login", "absent", "replaced", "limited", "stop" or "retry".
export function meaning(code) {
  if (code === 4003) return "login";
  if (code === 4004) return "absent";
  if (code === REPLACED) return "replaced";
  if (code === 4029) return "limited";
  if (STOPS.has(code) || code >= 4500) return "stop";
  return "retry";
}
