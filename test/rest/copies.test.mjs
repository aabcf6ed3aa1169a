// The examples are copied: each one's own tests run in a folder by themselves.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

for (const example of ['health-monitor', 'sync-worker', 'alert-worker']) {
  test(`node --test in a copy of ${example}`, () => {
    const dir = mkdtempSync(`${tmpdir()}/copy.`);
    try {
      cpSync(fileURLToPath(new URL(`../../examples/${example}`, import.meta.url)), dir, { recursive: true });
      assert.ok(readdirSync(dir).some((name) => name.endsWith('.test.mjs')));
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap'], { cwd: dir, env, encoding: 'utf8' });
      assert.equal(status, 0, stdout);
      assert.match(stdout, /^# pass [1-9]/m);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
}
