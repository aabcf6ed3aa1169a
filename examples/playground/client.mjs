// client.mjs: stands where supabase-js and PostgREST stand in a project: takes the calls that the health monitor, the
// report and the demo make, and no others, and asks PGlite in their place. As PostgREST does, each call is a transaction
// that takes on the role which the claims name, and sees them in request.jwt.claims; answers pass through JSON.

// createClient(db, claims): what supabase-js calls a client, for whoever has these claims.
export function createClient(db, claims) {
  async function ask(query) {
    try {
      return await db.transaction(async (tx) => {
        await tx.query("SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true)", [claims.role, JSON.stringify(claims)]);
        const { sql, params, status = 200 } = await query(tx);
        const { rows: [{ data }] } = await tx.query(sql, params);
        return { data, error: null, status };
      });
    } catch ({ code, message, detail = null, hint = null }) {
      return { data: null, error: { code: code ?? '', message, details: detail, hint }, status: statusOf(code ?? '', claims.role) };
    }
  }
  return {
    from: (table) => new Request(ask, table),
    rpc: (name, args = {}) => new Call(ask, name, args),
  };
}

// statusOf(sqlstate, role): PostgREST's HTTP status: 4xx where the same call would be refused again.
function statusOf(sqlstate, role) {
  if (sqlstate === '42501') return role === 'anon' ? 401 : 403;
  if (sqlstate === '23503' || sqlstate === '23505') return 409;
  return /^(22|23|42|P0)/.test(sqlstate) ? 400 : 500;
}

const quote = (name) => `"${name.trim().replaceAll('"', '""')}"`;
const quoteAll = (names) => names.split(',').map(quote).join(', ');

// What is awaited; it is sent by that.
class Awaited {
  then(resolve, reject) { return this.send().then(resolve, reject); }

  // PGlite runs a query in one go: nothing can come between.
  abortSignal() { return this; }
}

class Call extends Awaited {
  constructor(ask, name, args) { super(); Object.assign(this, { ask, name, args }); }

  send() {
    return this.ask(async (tx) => {
      const { rows } = await tx.query('SELECT proretset FROM pg_proc WHERE oid = to_regproc($1)', [quote(this.name)]);
      const names = Object.keys(this.args);
      const call = `${quote(this.name)}(${names.map((name, i) => `${quote(name)} => $${i + 1}`).join(', ')})`;
      const data = rows[0]?.proretset ? "coalesce(json_agg(r), '[]')" : 'to_json(r)';
      return { sql: `SELECT ${data} AS data FROM ${call} AS r`, params: Object.values(this.args) };
    });
  }
}

class Request extends Awaited {
  constructor(ask, table) { super(); Object.assign(this, { ask, table: quote(table), columns: '*', conditions: [], params: [] }); }

  select(columns = '*') { this.columns = columns === '*' ? '*' : quoteAll(columns); return this; }

  #where(column, operator, value) {
    this.params.push(value);
    this.conditions.push(`${quote(column)} ${operator} $${this.params.length}`);
    return this;
  }

  eq(column, value) { return this.#where(column, '=', value); }

  match(values) { Object.entries(values).forEach(([column, value]) => this.eq(column, value)); return this; }

  limit(rows) { this.rows = rows; return this; }

  upsert(rows, { onConflict, ignoreDuplicates = false }) { Object.assign(this, { upserted: rows, onConflict, ignoreDuplicates }); return this; }

  send() {
    return this.ask(async () => (this.upserted ? this.#insertion() : this.#selection()));
  }

  #selection() {
    const where = this.conditions.length > 0 ? `WHERE ${this.conditions.join(' AND ')}` : '';
    const limit = this.rows === undefined ? '' : `LIMIT ${Number(this.rows)}`;
    return { sql: `SELECT coalesce(json_agg(r), '[]') AS data FROM (SELECT ${this.columns} FROM ${this.table} ${where} ${limit}) AS r`, params: this.params };
  }

  #insertion() {
    const names = Object.keys(this.upserted[0]).map(quote);
    const update = this.ignoreDuplicates ? 'NOTHING' : `UPDATE SET ${names.map((name) => `${name} = EXCLUDED.${name}`).join(', ')}`;
    return {
      sql: `WITH done AS (INSERT INTO ${this.table} (${names.join(', ')})
          SELECT ${names.join(', ')} FROM json_populate_recordset(NULL::${this.table}, $1)
          ON CONFLICT (${quoteAll(this.onConflict)}) DO ${update} RETURNING 1)
        SELECT NULL AS data FROM (SELECT count(*) FROM done) AS d`,
      params: [this.upserted],
      status: 201,
    };
  }
}
