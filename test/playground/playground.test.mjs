// The playground, as whoever starts it sees it: npm start, and SQL typed after the report.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { before, describe, test } from 'node:test';
import { orgs } from '../../examples/playground/people.mjs';

const cwd = fileURLToPath(new URL('../../examples/playground', import.meta.url));

// What the README has to try; who is to say it stands in comments there.
const toTry = /```sql\n([^]*?)```/.exec(readFileSync(`${cwd}/README.md`, 'utf8'))[1].trimEnd().split('\n')
  .map((each) => each.replace(/^-- (\\\w+).*/, '$1'));

// npmStart(typed): what npm start prints, with these lines on its standard input. Ends it after two minutes.
async function npmStart(typed) {
  const child = spawn('npm', ['start'], { cwd, shell: process.platform === 'win32', timeout: 120_000, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => { child.on('close', resolve); });
  child.stdin.end(typed.join('\n'));
  const [printed, complaints, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  assert.equal(code, 0, complaints);
  return printed;
}

describe('npm start in the playground', () => {
  let report;
  let answers;       // to what was typed, by the name that marks it

  // marked(name, ...lines): lines to type, and one that is refused with the name in it.
  const marked = (name, ...lines) => [...lines, `\\: ${name}`];
  before(async () => {
    const printed = await npmStart([
      ...marked('member', 'SELECT DISTINCT org_id FROM integration_health_status;'),
      ...marked('refused', 'SELECT get_global_health_summary();', `SELECT record_health_check('${orgs.A}', 'xledger', 'healthy');`),
      '\\b', ...marked('other member', 'SELECT DISTINCT org_id', '  FROM integration_health_history;'),
      '\\admin', ...marked('admin', 'SELECT total FROM get_global_health_summary() WHERE integration_type = $$dynamics$$;'),
      '\\anon', ...marked('anon', 'SELECT FROM integration_health_status;'),
      '\\writer', ...marked('writer', `SELECT check_no, status FROM record_health_check('${orgs.B}', 'xledger', 'healthy');`),
      ...marked('rolled back', 'BEGIN; DELETE FROM integration_health_status;', '\\writer', 'SELECT count(*) > 0 AS still_there FROM integration_health_status;'),
      ...marked('probe', `DELETE FROM integration_health_status WHERE org_id = '${orgs.C}';`, '\\probe', `SELECT max(check_no) AS check_no FROM integration_health_status WHERE org_id = '${orgs.C}';`),
      ...marked('README', ...toTry),
      '\\owner', ...marked('owner', 'DO $$', 'BEGIN', '  NULL;', 'END', '$$;', 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user;',
        "SELECT DISTINCT tableowner FROM pg_tables WHERE tablename LIKE 'integration%';"),
      '\\q', 'SELECT 1 / 0;',
    ]);
    const start = printed.indexOf('SQL, each statement');
    report = printed.slice(0, start);
    const parts = printed.slice(start).split(/^ {2}\\: ([\w ]+) is no command; \\\? lists them\n/m);
    parts[0] = parts[0].slice(parts[0].indexOf('\\q'));
    answers = Object.fromEntries(parts.slice(0, -1).flatMap((part, i) => (i % 2 === 0 ? [[parts[i + 1], part]] : [])));
    answers.last = parts.at(-1);
  });

  const line = (pattern) => {
    const found = report.split('\n').filter((each) => pattern.test(each));
    assert.equal(found.length, 1, `${pattern} matches ${found.length} lines of\n${report}`);
    return found[0];
  };
  const numbers = (row) => row.trim().split(/\s{2,}/).slice(1).map(Number);

  test('the monitor has recorded what the endpoints answered', () => {
    assert.match(report, /^ {2}291 checks in /m);
    line(/^ {2}org B +Xledger +unhealthy .* 40 +ECONNREFUSED: the connection was refused$/);
    line(/^ {2}org B +Microsoft Dynamics 365 +unhealthy .* 40 +HTTP 500$/);
    line(/^ {2}org C +Microsoft Dynamics 365 +unhealthy .* +3 +no answer within 1000 ms$/);
    line(/^ {2}Microsoft Dynamics 365 +degraded .* active +slow: \d+ ms$/);
    line(/^ {2}Webshop +degraded .* passive +HTTP 429: rate limited, retry after 3600 s$/);
    line(/^ {2}Payroll .*[^×]{11}×{9}[^×]{20} +40 checks/);
    line(/^ {2}Webshop .*[^!]{10}! +11 checks/);
  });

  test('the incidents have their causes, the uptime what they cost, and the alerts wait', () => {
    line(/^ {2}org B +Xledger +connect +40 +[\d:]{8} +-$/);
    line(/^ {2}org B +Microsoft Dynamics 365 +server +40 +[\d:]{8} +-$/);
    line(/^ {2}org C +Microsoft Dynamics 365 +timeout +3 +[\d:]{8} +-$/);
    line(/^ {2}org A +Payroll +server +9 +[\d:]{8} +[\d:]{8}$/);
    const [uptime, coverage, incidents] = numbers(line(/^ {2}Payroll +\d+\.\d\d +\d\.\d\d +1 +00:00:\d\d(\.\d)?$/));
    assert.ok(uptime > 20 && uptime < 95 && coverage < 1 && incidents === 1, `${uptime} ${coverage}`);
    line(/^ {2}incident_opened +org B +xledger +waiting +[\d:]{8}$/);
    line(/^ {2}type_passive +- +webshop +waiting +[\d:]{8}$/);
  });

  test('each caller gets the rows of his own organisations, and an admin the summary', () => {
    assert.deepEqual(numbers(line(/^ {2}from\('integration_health_status'\)/)), [4, 2, 0]);
    assert.deepEqual(numbers(line(/^ {2}from\('integration_health_history'\)/)), [131, 80, 0]);
    assert.deepEqual(numbers(line(/^ {2}rpc\('get_org_health_status', org A\)/)), [4, 0, 0]);
    assert.deepEqual(numbers(line(/^ {2}rpc\('get_org_health_status', org B\)/)), [0, 4, 0]);
    assert.deepEqual(numbers(line(/^ {2}rpc\('get_health_trend', org A, 'xledger'\)/)), [40, 0, 0]);
    assert.deepEqual(numbers(line(/^ {2}rpc\('get_global_health_summary'\)/)), [42501, 42501, 4]);
    assert.match(report, /^ {2}service_role +403 +42501 /m);
    assert.match(report, /^ {2}the anonymous key +401 +42501 /m);
  });

  test('SQL is run as who you are', () => {
    assert.match(answers.member, new RegExp(`org_id *\n  ${orgs.A}\n  \\(1 row\\)`));
    assert.match(answers.refused, /^ {2}42501: permission denied: role global_admin is required\n {2}A claim .*\n {2}42501: permission denied for function record_health_check$/m);
    assert.match(answers['other member'], new RegExp(`org_id *\n  ${orgs.B}\n  \\(1 row\\)`));
    assert.match(answers.admin, /^ {2}total\n {6}3\n/m);
    assert.match(answers.anon, /^ {2}42501: permission denied for table integration_health_status\n$/);
    assert.match(answers.writer, /^ {2}check_no {2}status\n {8}41 {2}healthy\n/m);
    assert.match(answers.owner, /^ {2}DO\n {2}rolsuper\n {2}f\n {2}\(1 row\)\n {2}tableowner\n {2}postgres\n {2}\(1 row\)\n$/);
    assert.equal(answers.last, '', 'nothing is run after \\q');
  });

  test('what the README has to try works', () => {
    assert.ok(toTry.includes('\\writer') && toTry.includes('\\admin'));
    assert.doesNotMatch(answers.README, /^ {2}[0-9A-Z]{5}: /m);
    assert.match(answers.README, /^ {2}monitoring_mode\n {2}active\n/m);
  });

  test('a command ends a transaction, and the monitor can be run again', () => {
    assert.match(answers['rolled back'], /^ {2}BEGIN\n {2}DELETE \d+\n {2}the transaction is rolled back\n {2}still_there\n {2}t\n/);
    assert.match(answers.probe, /^ {2}DELETE 2\n {2}health-monitor checks=7 .* recorded=7 attempts=1 ms=\d+\n {2}check_no\n {9}1\n/);
  });
});
