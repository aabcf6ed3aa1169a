// client.mjs: stands where supabase-js and PostgREST stand in a project: takes the calls that the health monitor, the
// report, the past and the dashboard make, and no others, and asks PGlite in their place. As PostgREST does, each call is a transaction
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

// What has filters. Their parameters come after those that are there before: of(n), n being the number of these, is the SQL.
class Filtered extends Awaited {
  conditions = [];

  params = [];

  columns = '*';

  #where(column, of, ...params) {
    const before = this.params.length;
    this.conditions.push((n) => `${quote(column)} ${of(n + before + 1)}`);
    this.params.push(...params);
    return this;
  }

  eq(column, value) { return this.#where(column, (n) => `= $${n}`, value); }

  is(column, value) { return this.#where(column, () => `IS ${{ null: 'NULL', true: 'TRUE', false: 'FALSE' }[value]}`); }

  match(values) { Object.entries(values).forEach(([column, value]) => this.eq(column, value)); return this; }

  select(columns = '*') { this.columns = columns.trim() === '*' ? '*' : quoteAll(columns); return this; }

  order(column, { ascending = true } = {}) { this.ordered = `ORDER BY ${quote(column)} ${ascending ? 'ASC' : 'DESC'}`; return this; }

  limit(rows) { this.rows = rows; return this; }

  // selection(from, params): what the rows of from, which has these parameters, are read by.
  selection(from, params = []) {
    const where = this.conditions.length > 0 ? `WHERE ${this.conditions.map((of) => of(params.length)).join(' AND ')}` : '';
    const limit = this.rows === undefined ? '' : `LIMIT ${Number(this.rows)}`;
    return {
      sql: `SELECT coalesce(json_agg(r), '[]') AS data FROM (SELECT ${this.columns} FROM ${from} ${where} ${this.ordered ?? ''} ${limit}) AS r`,
      params: [...params, ...this.params],
    };
  }
}

class Call extends Filtered {
  constructor(ask, name, args) { super(); Object.assign(this, { ask, name, args }); }

  send() {
    return this.ask(async (tx) => {
      const { rows } = await tx.query('SELECT proretset FROM pg_proc WHERE oid = to_regproc($1)', [quote(this.name)]);
      const names = Object.keys(this.args);
      const call = `${quote(this.name)}(${names.map((name, i) => `${quote(name)} => $${i + 1}`).join(', ')})`;
      const args = Object.values(this.args);
      return rows[0]?.proretset ? this.selection(call, args) : { sql: `SELECT to_json(r) AS data FROM ${call} AS r`, params: args };
    });
  }
}

class Request extends Filtered {
  constructor(ask, table) { super(); Object.assign(this, { ask, table: quote(table) }); }

  upsert(rows, { onConflict, ignoreDuplicates = false }) { Object.assign(this, { upserted: rows, onConflict, ignoreDuplicates }); return this; }

  send() {
    return this.ask(async () => (this.upserted ? this.#insertion() : this.selection(this.table)));
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
