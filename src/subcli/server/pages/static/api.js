// The REST client. The server knows its user by a cookie that no script can read, or by the link that was followed.

// Relative to the page, `…/submissions/ID`, since a proxy may show the server below a path.
const API = "../api";

export class Refused extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export class Api {
  #link;

  // `link` is the token of a link to this submission; null if the user may see it without one.
  constructor(link = null) {
    this.#link = link;
  }

  get byLink() {
    return this.#link !== null;
  }

  async get(path) {
    return this.#send(path, {});
  }

  async post(path) {
    return this.#send(path, { method: "POST" });
  }

  async #send(path, options) {
    const headers = this.byLink ? { Authorization: `Bearer ${this.#link}` } : {};
    return read(await fetch(`${API}${path}`, { ...options, headers }));
  }
}

async function read(response) {
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const retryAfter = Number(response.headers.get("Retry-After"));
  throw new Refused(response.status, String(body.detail ?? `HTTP ${response.status}`), Number.isFinite(retryAfter) ? retryAfter : 0);
}
