// The REST client, with or without a login.
//
// Tokens are kept in this module's memory only. Storage would outlive the page, could be read by any script of this
// origin, and would be shared with other tabs: refresh tokens rotate, so the server takes a second tab that uses the
// same one for a thief. Hence a reload asks for the login again, and a long watch refreshes its tokens.

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
  #access = null;
  #refresh = null;
  #link;

  // `link` is the token of a link to this submission, if the page was opened with one. A login takes its place.
  constructor(link = null) {
    this.#link = link;
  }

  get loggedIn() {
    return this.#token !== null;
  }

  get byLink() {
    return this.#access === null && this.#link !== null;
  }

  get #token() {
    return this.#access ?? this.#link;
  }

  async get(path) {
    return this.#send(path, {});
  }

  async post(path) {
    return this.#send(path, { method: "POST" });
  }

  async login(user, password) {
    await this.#grant({ grant_type: "password", username: user, password });
  }

  // Gets new tokens without asking the user. Returns false if that is not possible.
  async renew() {
    if (this.#refresh === null) return false;
    try {
      await this.#grant({ grant_type: "refresh_token", refresh_token: this.#refresh });
      return true;
    } catch (error) {
      if (!(error instanceof Refused) || error.status === 429 || error.status >= 500) throw error;
      this.#access = this.#refresh = null;
      return false;
    }
  }

  // Ends the session on the server when the page is closed.
  end() {
    if (this.#refresh === null) return;
    const body = JSON.stringify({ refresh_token: this.#refresh });
    const headers = { "Content-Type": "application/json" };
    fetch(`${API}/auth/logout`, { method: "POST", body, headers, keepalive: true }).catch(() => {});
    this.#access = this.#refresh = null;
  }

  async #grant(fields) {
    const headers = { "Content-Type": "application/json" };
    const answer = await read(await fetch(`${API}/auth/token`, { method: "POST", body: JSON.stringify(fields), headers }));
    this.#access = answer.access_token;
    this.#refresh = answer.refresh_token ?? null;
  }

  async #send(path, options) {
    const once = async () => read(await fetch(`${API}${path}`, { ...options, headers: this.#headers() }));
    try {
      return await once();
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401 || !(await this.renew())) throw error;
      return once();
    }
  }

  #headers() {
    return this.#token === null ? {} : { Authorization: `Bearer ${this.#token}` };
  }
}

async function read(response) {
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const retryAfter = Number(response.headers.get("Retry-After"));
  throw new Refused(response.status, String(body.detail ?? `HTTP ${response.status}`), Number.isFinite(retryAfter) ? retryAfter : 0);
}
