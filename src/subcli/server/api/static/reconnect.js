// How long to wait, and what a closed socket means (specification, "Error Handling" and "Reconnection Strategy").
// No page, no socket, no clock.

export const MAX_ATTEMPTS = 5;
export const PING_S = 30;
export const ANSWER_S = 10;
export const STABLE_S = 30;
export const BAD_FRAMES = 20;
const MAX_WAIT_S = 300;

// Before attempt n: min(2^n, 30) s, 20 % more or less so that many do not come at once.
export function backoff(attempt, random) {
  return Math.min(2 ** attempt, 30) * (0.8 + 0.4 * random);
}

// The wait after a limit: as the server says, but no longer than 5 minutes.
export function limited(attempt, random, toldSeconds) {
  return Math.min(Math.max(toldSeconds || 0, backoff(attempt, random)), MAX_WAIT_S);
}

export function toldByReason(reason) {
  return Number(/retry_after=(\d{1,6})/.exec(reason)?.[1] ?? 0);
}

const STOPS = new Set([1002, 1003, 1007, 1008, 1010]);

// "login", "absent", "limited", "stop" or "retry".
export function meaning(code) {
  if (code === 4003) return "login";
  if (code === 4004) return "absent";
  if (code === 4029) return "limited";
  if (STOPS.has(code) || code >= 4500) return "stop";
  return "retry";
}
