// The REST half, with or without a login.
//
// Tokens are kept in this module's memory and nowhere else. Storage would outlive the page, any script of this
// origin could read it, and a second tab would inherit it: refresh tokens rotate, and of two tabs that use the
// same one the server takes the second for a thief. So a reload asks again; a long watch renews itself.

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

  get loggedIn() {
    return this.#access !== null;
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

  // A new access token without asking; false where that cannot be.
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

  // The page goes away: so does its session on the server.
  end() {
    if (this.#refresh === null) return;
    const body = JSON.stringify({ refresh_token: this.#refresh });
    const headers = { "Content-Type": "application/json" };
    fetch("/api/auth/logout", { method: "POST", body, headers, keepalive: true }).catch(() => {});
    this.#access = this.#refresh = null;
  }

  async #grant(fields) {
    const headers = { "Content-Type": "application/json" };
    const answer = await read(await fetch("/api/auth/token", { method: "POST", body: JSON.stringify(fields), headers }));
    this.#access = answer.access_token;
    this.#refresh = answer.refresh_token ?? null;
  }

  async #send(path, options) {
    const once = async () => read(await fetch(`/api${path}`, { ...options, headers: this.#headers() }));
    try {
      return await once();
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401 || !(await this.renew())) throw error;
      return once();
    }
  }

  #headers() {
    return this.#access === null ? {} : { Authorization: `Bearer ${this.#access}` };
  }
}

async function read(response) {
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const told = Number(response.headers.get("Retry-After"));
  throw new Refused(response.status, String(body.detail ?? `HTTP ${response.status}`), Number.isFinite(told) ? told : 0);
}
