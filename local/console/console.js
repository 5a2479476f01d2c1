'use strict';
// The console of local-aws. Everything that it shows comes from others: it goes into the page as text, never as HTML.

const $ = (id) => document.getElementById(id);

function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (key === 'class') node.className = value;
    else if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null) node.setAttribute(key, value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

// ---- the secret ----------------------------------------------------------------------------------
// It comes behind '#', which browsers send to nobody, and leaves the address at once.
let secret = '';
try { secret = sessionStorage.getItem('console-secret') || ''; } catch { /* a private window */ }

function takeSecret() {
  const given = location.hash.slice(1);
  if (!/^[A-Za-z0-9_-]{40,64}$/.test(given)) return;
  secret = given;
  try { sessionStorage.setItem('console-secret', secret); } catch { /* then for this page only */ }
  history.replaceState(null, '', location.pathname);
}

async function call(path, options = {}) {
  const headers = { 'X-Console-Secret': secret, ...(options.body ? { 'Content-Type': 'application/json' } : {}) };
  const answer = await fetch(`/console/api/${path}`, { ...options, headers, cache: 'no-store' });
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  throw Object.assign(new Error(body.detail || answer.statusText), { status: answer.status });
}

const post = (path, body) => call(path, { method: 'POST', body: JSON.stringify(body) });

// ---- words ---------------------------------------------------------------------------------------
function duration(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
  const s = Math.floor(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (d) return `${d} d ${h % 24} h`;
  if (h) return `${h} h ${m % 60} min`;
  return `${m} min ${s % 60} s`;
}

const two = (n) => String(n).padStart(2, '0');

function clock(ms) {
  const t = new Date(ms);
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}

function moment(ms) {
  const t = new Date(ms), today = new Date().toDateString() === t.toDateString();
  return today ? clock(ms) : `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${clock(ms)}`;
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

const STATUSES = ['RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'STOPPED'];
const DOTS = { RUNNING: 'var(--run)', SUCCEEDED: 'var(--ok)', FAILED: 'var(--bad)', TIMED_OUT: 'var(--warn)', STOPPED: 'var(--stop)' };
const word = (status) => status.charAt(0) + status.slice(1).toLowerCase().replace('_', ' ');
const pill = (status) => el('span', { class: `pill ${status}` }, word(status));

// ---- state ---------------------------------------------------------------------------------------
const view = { arn: null, status: '', function: '', name: '', tab: 'history', older: [], open: new Set() };
let shown = null; // the latest overview
let detail = null; // the latest answer about view.arn
let behind = 0; // this clock minus the services'
let generation = 0; // of what is asked: an answer to an earlier question is dropped
let asking = new AbortController();

const now = () => Date.now() - behind;

// ---- the list ------------------------------------------------------------------------------------
function renderTop() {
  $('counts').replaceChildren(...STATUSES.filter((s) => s === 'RUNNING' || shown.counts[s]).map((s) => {
    const node = el('span', {}, el('b', {}, String(shown.counts[s])), word(s).toLowerCase());
    node.style.setProperty('--dot', DOTS[s]);
    return node;
  }));
  const fast = shown.time.speed > 1 ? `, ${shown.time.speed} times as fast` : '';
  const ahead = shown.time.aheadSeconds > 1 ? `, ${duration(shown.time.aheadSeconds * 1000)} ahead` : '';
  $('clock').textContent = fast || ahead ? `${moment(shown.now)}${ahead}${fast}` : '';
}

function renderFilter() {
  const select = $('function'), names = shown.functions.filter((f) => f.durable).map((f) => f.name);
  if (select.options.length !== names.length + 1) {
    select.replaceChildren(el('option', { value: '' }, 'All functions'), ...names.map((n) => el('option', { value: n }, n)));
    select.value = view.function;
  }
  $('chips').replaceChildren(...['', ...STATUSES].map((s) => el('button', {
    class: view.status === s ? 'on' : '', type: 'button', 'aria-pressed': String(view.status === s),
    onclick: () => { view.status = s; ask(); },
  }, s ? word(s) : 'All')));
}

function renderList() {
  const all = [...shown.executions, ...view.older.filter((e) => !shown.executions.some((x) => x.row === e.row))];
  const rows = all.map((e) => el('li', {
    class: e.arn === view.arn ? 'on' : '', tabindex: 0, title: e.arn,
    onclick: () => select(e.arn), onkeydown: (k) => { if (k.key === 'Enter') select(e.arn); },
  },
  el('span', { class: 'who' }, e.name), pill(e.status),
  el('span', { class: 'what' }, `${e.function}:${e.version}`),
  el('span', { class: 'when' }, `${moment(e.start)} · ${duration((e.end || now()) - e.start)}`)));
  if (!rows.length) rows.push(el('li', { class: 'none' }, 'Nothing here yet. Invoke a durable function, and it shows up by itself.'));
  $('list').replaceChildren(...rows);
  $('more').hidden = shown.executions.length < 100 && !view.older.length;
}

async function showOlder() {
  const all = [...shown.executions, ...view.older];
  const answer = await call(`overview?${query()}&before=${Math.min(...all.map((e) => e.row))}`);
  view.older.push(...answer.executions);
  renderList();
  $('more').hidden = answer.executions.length === 0;
}

// ---- the overview --------------------------------------------------------------------------------
function panel(title, note, ...children) {
  return el('div', { class: 'panel' }, el('h2', {}, title, note ? el('small', {}, note) : null), ...children);
}

function table(heads, rows) {
  return el('table', {}, el('thead', {}, el('tr', {}, heads.map((h) => el('th', {}, h)))), el('tbody', {}, rows));
}

function callbackButtons(c) {
  return el('td', { class: 'right' },
    el('button', { class: 'small', onclick: () => complete(c, 'succeed') }, 'Succeed'),
    el('button', { class: 'small danger', onclick: () => complete(c, 'fail') }, 'Fail'),
    c.heartbeatAt ? el('button', { class: 'small plain', onclick: () => complete(c, 'heartbeat') }, 'Heartbeat') : null);
}

function deadline(c) {
  const first = Math.min(c.timeoutAt || Infinity, c.heartbeatAt || Infinity);
  return first === Infinity ? 'no deadline' : `${duration(first - now())} left`;
}

function callbacksPanel(callbacks, withExecution) {
  if (!callbacks.length) return null;
  return panel('Waiting for an answer', `${callbacks.length} open callback${callbacks.length > 1 ? 's' : ''}`,
    table([withExecution ? 'Execution' : '', 'Callback', 'Waits for', 'Deadline', ''].filter((h, i) => i || withExecution),
      callbacks.map((c) => el('tr', {},
        withExecution ? el('td', {}, el('a', { href: '#', onclick: (ev) => { ev.preventDefault(); select(c.arn); } }, c.execution)) : null,
        el('td', {}, c.name || c.operation), el('td', { class: 'time' }, duration(now() - c.since)),
        el('td', { class: 'time' }, deadline(c)), callbackButtons(c)))));
}

function jobEnd(j) {
  if (!j.stopped) return j.started ? `runs for ${duration(now() - j.started)}` : 'not started yet';
  const code = j.exitCode === undefined ? '' : `exit code ${j.exitCode}`;
  return [code, j.reason].filter(Boolean).join(' · ');
}

function jobsPanel(jobs) {
  if (!jobs.length) return null;
  return panel('Jobs', 'tasks of ECS, newest first', table(['Task', 'State', 'Began', 'Outcome'], jobs.slice(0, 30).map((j) => el('tr', {},
    el('td', {}, j.family, ' ', el('code', { class: 'short' }, j.arn.slice(-8))),
    el('td', {}, pill(j.state)), el('td', { class: 'time' }, moment(j.created)), el('td', {}, jobEnd(j))))));
}

function functionsPanel() {
  return panel('Functions', 'each square is an environment: busy, idle or starting', table(['Name', 'Kind', 'Time limit', 'Waiting', 'Environments'],
    shown.functions.map((f) => el('tr', {},
      el('td', {}, el('b', {}, f.name), ' ', el('span', { class: 'short' }, [f.version, ...f.aliases].join(', '))),
      el('td', {}, f.durable ? 'durable' : 'plain'), el('td', {}, duration(f.timeoutSeconds * 1000)), el('td', {}, String(f.waiting)),
      el('td', {}, el('span', { class: 'envs' }, f.environments.map((e) => el('i', { class: e.state, title: e.state }))))))));
}

function renderOverview() {
  const tiles = el('div', { class: 'tiles' }, STATUSES.map((s) => {
    const tile = el('div', { class: 'tile' }, el('b', {}, String(shown.counts[s])), el('span', {}, word(s).toLowerCase()));
    tile.style.setProperty('--dot', DOTS[s]);
    return tile;
  }));
  $('detail').replaceChildren(tiles, ...[callbacksPanel(shown.callbacks, true), jobsPanel(shown.jobs), functionsPanel()].filter(Boolean));
}

// ---- one execution: what happened, from its events -----------------------------------------------
const KINDS = { Step: 'step', Wait: 'wait', Callback: 'callback', ChainedInvoke: 'invoke', Context: 'context' };

function splitType(type) {
  for (const stem of [...Object.keys(KINDS), 'Execution', 'Invocation']) if (type.startsWith(stem)) return [stem, type.slice(stem.length)];
  return [type, ''];
}

/* Each context followed by what is in it. */
function inTree(operations) {
  const below = new Map();
  for (const op of operations) below.set(op.parent, [...(below.get(op.parent) || []), op]);
  const walk = (parent) => (below.get(parent) || []).flatMap((op) => [op, ...walk(op)]);
  return walk(undefined);
}

/* Operations and invocations; an operation has segments {from, to, ok}. */
function story(events, end) {
  const operations = new Map(), invocations = [];
  for (const event of events) {
    const [stem, what] = splitType(event.EventType), at = event.EventTimestamp * 1000;
    if (stem === 'Invocation') {
      const d = event.InvocationCompletedDetails;
      invocations.push({ from: d.StartTimestamp * 1000, to: d.EndTimestamp * 1000, ok: !d.Error, id: d.RequestId });
    }
    if (!KINDS[stem]) continue;
    let op = operations.get(event.Id);
    if (!op) {
      op = { id: event.Id, name: event.Name, sub: event.SubType, kind: KINDS[stem], parent: operations.get(event.ParentId), segments: [],
        depth: 0, open: true, details: event[`${event.EventType}Details`] };
      op.depth = op.parent ? Math.min(op.parent.depth + 1, 4) : 0;
      operations.set(event.Id, op);
    }
    const last = op.segments[op.segments.length - 1];
    if (what === 'Started') {
      op.segments.push({ from: at, to: null, ok: true });
      op.open = true;
      continue;
    }
    const segment = last && last.to === null ? last : { from: at, to: null, ok: true };
    if (segment !== last) op.segments.push(segment);
    segment.to = at;
    segment.ok = what === 'Succeeded';
    const details = event[`${event.EventType}Details`] || {};
    op.open = !!(details.RetryDetails && details.RetryDetails.NextAttemptDelaySeconds);
  }
  for (const op of operations.values()) for (const s of op.segments) s.to = s.to === null ? end : s.to;
  return { operations: inTree([...operations.values()]), invocations };
}

function bar(scale, from, to, classes, title) {
  const node = el('div', { class: `bar ${classes}`, title });
  node.style.left = `${scale(from)}%`;
  node.style.width = `${Math.max(0, scale(to) - scale(from))}%`;
  return node;
}

function row(kind, depth, label, note, bars) {
  return el('div', { class: `row ${kind} depth${depth}` },
    el('div', { class: 'label', title: note ? `${label} · ${note}` : label }, el('i'), el('span', {}, label), note ? el('em', {}, note) : null),
    el('div', { class: 'track' }, bars));
}

function segmentBars(scale, op, runs) {
  const bars = [];
  op.segments.forEach((s, i) => {
    const next = op.segments[i + 1], last = i === op.segments.length - 1;
    const classes = `${op.kind === 'context' ? 'outline' : ''} ${s.ok ? '' : 'bad'} ${last && op.open && runs ? 'open' : ''}`;
    bars.push(bar(scale, s.from, s.to, classes, `${duration(s.to - s.from)} from ${moment(s.from)}`));
    if (next) bars.push(bar(scale, s.to, next.from, 'thin', `waits ${duration(next.from - s.to)}`));
  });
  return bars;
}

function axis(t0, t1) {
  const ticks = [0, 1, 2, 3, 4].map((i) => {
    const node = el('span', {}, i ? duration(((t1 - t0) * i) / 4) : '0');
    node.style.left = `${i * 25}%`;
    return node;
  });
  return el('div', { class: 'axis' }, el('div'), el('div', { class: 'scale' }, ticks));
}

function timeline(x, jobs) {
  const runs = x.status === 'RUNNING', end = x.end || now();
  const { operations, invocations } = story(x.events, end);
  const t0 = x.start, latest = Math.max(end, ...jobs.map((j) => j.stopped || (runs ? end : j.created)), ...invocations.map((i) => i.to));
  const t1 = Math.max(latest, t0 + 1), scale = (t) => ((Math.min(Math.max(t, t0), t1) - t0) / (t1 - t0)) * 100;
  const bars = invocations.map((i) => bar(scale, i.from, i.to, i.ok ? '' : 'bad', `${duration(i.to - i.from)} from ${moment(i.from)}`));
  if (x.invokedAt) bars.push(bar(scale, x.invokedAt, end, 'open', `runs for ${duration(end - x.invokedAt)}`));
  const count = invocations.length + (x.invokedAt ? 1 : 0);
  const rows = [row('invocation', 0, 'invocations', String(count), bars)];
  for (const op of operations) {
    const tries = op.kind === 'step' && op.segments.length > 1 ? `${op.segments.length} attempts` : null;
    rows.push(row(op.kind, op.depth, op.name || op.sub || op.kind, tries || (op.name ? op.sub : null), segmentBars(scale, op, runs)));
  }
  for (const j of [...jobs].reverse()) {
    const started = j.started || j.stopped || end, stopped = j.stopped || end;
    const bad = j.stopped && (j.exitCode === undefined || j.exitCode !== 0);
    rows.push(row('job', 0, `${j.family} ${j.arn.slice(-8)}`, j.exitCode === undefined ? word(j.state).toLowerCase() : `exit ${j.exitCode}`, [
      bar(scale, j.created, started, 'light', `starts for ${duration(started - j.created)}`),
      j.started ? bar(scale, started, stopped, `${bad ? 'bad' : ''} ${j.stopped ? '' : 'open'}`, `runs for ${duration(stopped - started)}`) : null,
    ]));
  }
  const kinds = [['invocation', 'function runs'], ['step', 'step'], ['wait', 'wait'], ['callback', 'callback'], ['invoke', 'invoke'],
    ['context', 'context'], ['job', 'container']];
  const used = new Set(['invocation', ...operations.map((o) => o.kind), ...(jobs.length ? ['job'] : [])]);
  const bottom = el('div', { class: 'legend' }, kinds.filter(([k]) => used.has(k)).map(([k, text]) => el('span', { class: k }, text)));
  const ran = invocations.reduce((sum, i) => sum + i.to - i.from, 0);
  return panel('Timeline', `the function ran ${duration(ran)} of ${duration(end - t0)}`,
    el('div', { class: 'timeline' }, axis(t0, t1), ...rows), bottom);
}

// ---- one execution: its parts --------------------------------------------------------------------
function summary(event) {
  const d = event[`${event.EventType}Details`] || {};
  const error = d.Error && d.Error.Payload;
  if (error && (error.ErrorType || error.ErrorMessage)) return [error.ErrorType, error.ErrorMessage].filter(Boolean).join(': ');
  if (d.RetryDetails && d.RetryDetails.NextAttemptDelaySeconds) return `attempt ${d.RetryDetails.CurrentAttempt}, again in ${d.RetryDetails.NextAttemptDelaySeconds} s`;
  if (d.Duration) return `${d.Duration} s`;
  if (d.FunctionName) return d.FunctionName;
  for (const part of [d.Result, d.Input]) if (part && part.Payload !== undefined) return String(part.Payload).slice(0, 200);
  return '';
}

function eventKind(type) {
  if (/Succeeded$/.test(type)) return 'good';
  if (/Failed$/.test(type)) return 'wrong';
  return /TimedOut|Stopped|Cancelled/.test(type) ? 'late' : '';
}

function historyTab(x) {
  const rows = x.events.flatMap((event) => {
    const key = `${x.arn} ${event.EventId}`, open = view.open.has(key);
    const toggle = () => { if (open) view.open.delete(key); else view.open.add(key); renderDetail(); };
    const failed = event.EventType === 'InvocationCompleted' && event.InvocationCompletedDetails.Error;
    const child = event.ChainedInvokeStartedDetails && event.ChainedInvokeStartedDetails.DurableExecutionArn;
    const line = el('tr', { class: 'event', tabindex: 0, 'aria-expanded': String(open), onclick: toggle, onkeydown: (k) => { if (k.key === 'Enter') toggle(); } },
      el('td', { class: 'num' }, String(event.EventId)),
      el('td', { class: 'time', title: moment(event.EventTimestamp * 1000) }, `+${duration(event.EventTimestamp * 1000 - x.start)}`),
      el('td', {}, el('span', { class: `kind ${failed ? 'wrong' : eventKind(event.EventType)}` }, event.EventType),
        event.Name && splitType(event.EventType)[0] !== 'Execution' ? ` ${event.Name}` : '',
        child ? [' ', el('a', { href: '#', onclick: (ev) => { ev.preventDefault(); ev.stopPropagation(); select(child); } }, 'open')] : null),
      el('td', { class: 'short' }, summary(event)));
    return open ? [line, el('tr', {}, el('td', { colspan: 4 }, el('pre', {}, JSON.stringify(event, null, 2))))] : [line];
  });
  return [el('table', {}, el('tbody', {}, rows)),
    x.nextEvent ? el('p', { class: 'hint' }, `Events after number ${x.nextEvent} are not shown here: local-aws history ARN prints all.`) : null];
}

function dataTab(x) {
  const block = (title, text) => (text === undefined ? null : el('div', {}, el('h3', { class: 'short' }, title), el('pre', {}, pretty(text))));
  return [block('Input', x.input), block('Result', x.result),
    x.error ? block('Error', JSON.stringify(x.error)) : null,
    x.input === undefined && x.result === undefined && !x.error ? el('p', { class: 'hint' }, 'No data.') : null];
}

function openCallbacks(x) {
  if (x.status !== 'RUNNING') return [];
  const fromOverview = shown.callbacks.filter((c) => c.arn === x.arn);
  return story(x.events, now()).operations.filter((o) => o.kind === 'callback' && o.open).map((o) => ({
    arn: x.arn, operation: o.id, name: o.name || (o.parent && o.parent.name), since: o.segments[0].from,
    ...(fromOverview.find((c) => c.operation === o.id) || {}),
  }));
}

function errorPanel(x) {
  if (!x.error || (!x.error.ErrorType && !x.error.ErrorMessage)) return null;
  const node = panel(x.error.ErrorType || word(x.status), null, el('div', {}, x.error.ErrorMessage || ''));
  if (x.error.ErrorData) node.append(el('pre', {}, pretty(x.error.ErrorData)));
  node.classList.add('error');
  return node;
}

function laneText(x) {
  if (x.lane === 'running') return 'the function runs';
  if (x.lane === 'queued') return 'waits for an environment';
  if (x.lane === 'retrying') return `failed ${x.failures} time${x.failures > 1 ? 's' : ''}, again in ${duration(x.retryAt - now())}`;
  return 'suspended: nothing runs';
}

function fact(name, value) {
  return el('div', {}, el('span', {}, name), el('b', {}, value));
}

function renderDetail() {
  if (!view.arn) { renderOverview(); return; }
  if (!detail || detail.execution.arn !== view.arn) return;
  const x = detail.execution, jobs = detail.jobs, runs = x.status === 'RUNNING';
  const invocations = x.events.filter((e) => e.EventType === 'InvocationCompleted').length + (x.invokedAt ? 1 : 0);
  const head = el('div', { class: 'head' },
    el('div', {}, el('h1', {}, x.name), el('div', { class: 'sub mono' }, x.arn)),
    el('div', { class: 'spacer' }), pill(x.status),
    runs ? el('button', { class: 'danger small', onclick: () => stopIt(x) }, 'Stop') : null);
  const facts = el('div', { class: 'facts' }, fact('Function', `${x.function}:${x.version}`), fact('Began', moment(x.start)),
    fact(runs ? 'Runs for' : 'Took', duration((x.end || now()) - x.start)), fact('Invocations', String(invocations)),
    runs ? fact('Now', laneText(x)) : null, runs ? fact('Time limit in', duration(x.timeoutAt - now())) : null,
    x.tenant ? fact('Tenant', x.tenant) : null,
    x.parent ? el('div', {}, el('span', {}, 'Invoked by'), el('a', { href: '#', onclick: (ev) => { ev.preventDefault(); select(x.parent); } },
      x.parent.split('/')[2])) : null);
  const tabs = [['history', 'History', x.events.length], ['data', 'Input and result', '']];
  const bar = el('div', { class: 'tabs', role: 'tablist' }, tabs.map(([id, text, n]) => el('button', {
    class: view.tab === id ? 'on' : '', role: 'tab', 'aria-selected': String(view.tab === id), onclick: () => { view.tab = id; renderDetail(); },
  }, text, n ? el('small', {}, String(n)) : null)));
  const top = $('detail').scrollTop;
  $('detail').replaceChildren(...[head, facts, errorPanel(x), callbacksPanel(openCallbacks(x), false), timeline(x, jobs), jobsPanel(jobs),
    el('div', { class: 'panel' }, bar, view.tab === 'history' ? historyTab(x) : dataTab(x))].filter(Boolean));
  $('detail').scrollTop = top;
}

// ---- buttons -------------------------------------------------------------------------------------
function askText(title, text, value, ok) {
  const dialog = $('dialog'), input = $('dialog-input'), problem = $('dialog-problem');
  $('dialog-title').textContent = title;
  $('dialog-text').textContent = text;
  input.hidden = value === null;
  input.value = value || '';
  problem.hidden = true;
  $('dialog-ok').textContent = title;
  $('dialog-ok').onclick = async () => {
    try {
      await ok(input.value);
      dialog.close();
    } catch (e) {
      problem.textContent = e.message;
      problem.hidden = false;
    }
  };
  $('dialog-cancel').onclick = () => dialog.close();
  dialog.showModal();
}

function complete(c, action) {
  const send = (text) => post('callback', { arn: c.arn, operation: c.operation, action, ...(text ? { text } : {}) });
  const name = c.name || c.operation;
  if (action === 'heartbeat') send('').catch((e) => say(e.message, 'off'));
  else if (action === 'succeed') askText('Succeed', `What the callback “${name}” answers, usually JSON:`, '{"ok": true}', send);
  else askText('Fail', `The error that the callback “${name}” answers:`, '{"ErrorType": "Manual", "ErrorMessage": "failed by hand"}', send);
}

function stopIt(x) {
  askText('Stop', `The execution “${x.name}” ends as STOPPED. What it has started goes on.`, null, () => post('stop', { arn: x.arn }));
}

// ---- live ----------------------------------------------------------------------------------------
function say(text, state) {
  $('live').className = `live ${state}`;
  $('live').lastElementChild.textContent = text;
}

function query() {
  const q = new URLSearchParams();
  for (const key of ['function', 'status', 'name']) if (view[key]) q.set(key, view[key]);
  return q.toString();
}

function select(arn) {
  view.arn = arn;
  detail = null;
  view.open.clear();
  history.pushState(null, '', arn ? `#${encodeURIComponent(arn)}` : location.pathname);
  ask();
}

/* Asks anew; what was asked before is forgotten. */
function ask() {
  generation += 1;
  asking.abort();
  asking = new AbortController();
  view.older = [];
  run(generation, asking.signal);
}

function wantSecret(message) {
  say('locked', 'off');
  const input = el('input', { type: 'password', placeholder: 'secret', 'aria-label': 'secret', autocomplete: 'off' });
  const form = el('form', { onsubmit: (ev) => {
    ev.preventDefault();
    secret = input.value.trim().split('#').pop();
    try { sessionStorage.setItem('console-secret', secret); } catch { /* for this page only */ }
    ask();
  } }, el('p', { class: 'hint' }, message, ' Open that address, or paste it here:'), input);
  $('detail').replaceChildren(panel('The console is locked', null, form));
}

/* One answer after the other, each as soon as something has changed. */
async function run(mine, signal) {
  let since = null;
  while (mine === generation) {
    try {
      const waits = since === null ? '' : `&since=${since}`;
      const overview = await call(`overview?${query()}${waits}`, { signal });
      if (mine !== generation) return;
      say('live', 'on');
      if (overview === null) continue;
      shown = overview;
      since = overview.version;
      behind = Date.now() - overview.now;
      if (view.arn) {
        const answer = await call(`execution?arn=${encodeURIComponent(view.arn)}`).catch((e) => { if (e.status === 404) return null; throw e; });
        if (mine !== generation) return;
        if (answer) detail = answer; else { view.arn = null; detail = null; }
      }
      renderTop(); renderFilter(); renderList();
      if (!document.querySelector('dialog[open]') || view.arn) renderDetail();
    } catch (e) {
      if (mine !== generation) return;
      if (e.status === 401) { wantSecret(e.message); return; }
      say(e.status ? e.message : 'local-aws does not answer', 'off');
      since = null;
      await new Promise((resolve) => { setTimeout(resolve, 1000); });
    }
  }
}

function fromAddress() {
  takeSecret();
  const arn = decodeURIComponent(location.hash.slice(1));
  view.arn = arn.startsWith('arn:') ? arn : null;
  detail = null;
}

$('home').addEventListener('click', (ev) => { ev.preventDefault(); select(null); });
$('more').addEventListener('click', () => showOlder().catch((e) => say(e.message, 'off')));
$('filter').addEventListener('submit', (ev) => ev.preventDefault());
$('function').addEventListener('change', (ev) => { view.function = ev.target.value; ask(); });
$('name').addEventListener('input', (ev) => { view.name = ev.target.value.trim(); ask(); });
window.addEventListener('popstate', () => { fromAddress(); ask(); });
window.addEventListener('hashchange', () => { fromAddress(); ask(); });
// What runs grows while nothing happens.
setInterval(() => { if (shown && detail && detail.execution.status === 'RUNNING' && !document.querySelector('dialog[open]')) renderDetail(); }, 1000);
fromAddress();
ask();
