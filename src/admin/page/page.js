"use strict";
// The page of the admin port. Whatever tenants, models and servers wrote comes in as JSON and goes out as text nodes:
// nothing here makes markup of a text. What changes while it is looked at changes in its place.
(() => {
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";

  // ---------------------------------------------------------------- elements

  // Characters that would show a text other than it is: controls, and marks that turn or hide what stands beside them.
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
  const tame = (text) => String(text).replace(HIDDEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

  function fill(element, children) {
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      element.append(child instanceof Node ? child : document.createTextNode(tame(child)));
    }
    return element;
  }

  function dress(element, given) {
    for (const [name, value] of Object.entries(given || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "value") element.value = value;
      else element.setAttribute(name, value === true ? "" : tame(value));
    }
    return element;
  }

  const h = (tag, given, ...children) => fill(dress(document.createElement(tag), given), children);
  const s = (tag, given, ...children) => fill(dress(document.createElementNS(SVG, tag), given), children);
  /** What somebody else wrote. */
  const v = (text, more) => h("span", { class: `v ${more || ""}`.trim() }, text);
  const put = (element, ...children) => fill((element.replaceChildren(), element), children);
  /** Puts a text only where it is another: what is selected or read aloud stays. */
  const say = (element, text) => {
    const tamed = tame(text);
    if (element.textContent !== tamed) element.textContent = tamed;
  };
  const tag = (word, kind) => h("span", { class: `tag ${kind || word}` }, word);

  /** Brings a list of elements in line with items, each element staying with its key. */
  function keyed(parent, items, keyOf, make, update) {
    const known = parent.known || (parent.known = new Map());
    const seen = new Set();
    let before = null;
    for (const item of items) {
      const key = keyOf(item);
      seen.add(key);
      let entry = known.get(key);
      if (!entry) known.set(key, (entry = make(item)));
      update(entry, item);
      const place = before ? before.nextSibling : parent.firstChild;
      if (entry.element !== place) parent.insertBefore(entry.element, place);
      before = entry.element;
    }
    for (const [key, entry] of known) {
      if (!seen.has(key)) {
        entry.element.remove();
        known.delete(key);
      }
    }
  }

  // ---------------------------------------------------------------- words and numbers

  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const count = (number) => (number >= 100000 ? short.format(number) : whole.format(number));
  const usd = (number) => {
    if (!number) return "$0";
    if (number < 0.01) return `$${Number(number.toPrecision(2))}`;
    return number < 10000 ? `$${number.toFixed(2)}` : `$${short.format(number)}`;
  };
  const rate = (number) => (number === 0 ? "0" : number < 10 ? number.toFixed(2) : number < 100 ? number.toFixed(1) : count(number));
  const span = (ms) => {
    if (ms === null || ms === undefined) return "–";
    return ms < 1 ? `${ms.toFixed(2)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
  };
  const clockTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const hourTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const dayTime = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
  const isToday = (date) => date.toDateString() === new Date().toDateString();
  const when = (text) => {
    const date = new Date(text);
    if (Number.isNaN(date.getTime())) return String(text);
    return isToday(date) ? clockTime.format(date) : `${dayTime.format(date)}, ${hourTime.format(date)}`;
  };
  const timeOf = (text) => h("time", { datetime: text, title: text }, when(text));
  const ago = (text) => {
    const seconds = Math.max(0, (Date.now() - new Date(text).getTime()) / 1000);
    const [unit, size] = seconds < 90 ? ["s", 1] : seconds < 5400 ? ["min", 60] : seconds < 129600 ? ["h", 3600] : ["days", 86400];
    return `${Math.round(seconds / size)} ${unit}`;
  };

  // ---------------------------------------------------------------- the admin API

  const remembered = (name) => {
    try { return sessionStorage.getItem(`tollgate.${name}`) || ""; } catch { return ""; }
  };
  const remember = (name, value) => {
    try { sessionStorage.setItem(`tollgate.${name}`, value); } catch { /* It lasts as long as this page. */ }
  };
  let token = remembered("token");
  let asking = null;

  /** A number whose digits a double does not hold. */
  class Digits {
    constructor(text) { this.text = text; }
  }
  const exact = (_, value, context) =>
    typeof value === "number" && context && context.source !== undefined && String(value) !== context.source ? new Digits(context.source) : value;

  async function call(path, { method = "GET", body, digits = false, signal } = {}) {
    const headers = {};
    if (token) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const sent = token;
    let answer, text;
    try {
      const limit = AbortSignal.timeout(20000);
      answer = await fetch(path, {
        method, headers, body, cache: "no-store", credentials: "omit", redirect: "error",
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
      });
      text = await answer.text();
    } catch (error) {
      if (signal && signal.aborted) throw error;
      throw Object.assign(new Error("The gateway does not answer."), { status: 0 });
    }
    if (answer.status === 401) {
      await askForToken(sent);
      return call(path, { method, body, digits, signal });
    }
    let told = null;
    try { told = digits ? JSON.parse(text, exact) : JSON.parse(text); } catch { /* Told below. */ }
    if (!answer.ok || told === null) {
      const message = (told && told.error && told.error.message) || `The gateway answered with ${answer.status}.`;
      throw Object.assign(new Error(message), { status: answer.status });
    }
    return told;
  }

  const query = (given) => {
    const set = Object.entries(given).filter(([, value]) => value !== "" && value !== null && value !== undefined);
    return set.length ? `?${set.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}` : "";
  };

  /** Asks for the admin token until one is accepted; all who need it wait for the same answer. */
  function askForToken(refused) {
    if (token !== refused) return Promise.resolve();
    if (asking) return asking;
    asking = new Promise((done) => {
      const field = h("input", { type: "password", autocomplete: "off", required: true, id: "token" });
      const problem = h("p", { class: "problem", role: "alert" });
      if (refused) say(problem, "This token was not accepted.");
      const form = h("form", {
        onsubmit: async (event) => {
          event.preventDefault();
          const given = field.value;
          if (!/^[\x21-\x7e]+$/.test(given)) return say(problem, "A token has no blanks and only ASCII characters.");
          let answer;
          try {
            answer = await fetch("/admin/status", { headers: { authorization: `Bearer ${given}` }, cache: "no-store", credentials: "omit" });
          } catch { return say(problem, "The gateway does not answer."); }
          if (answer.status === 401) return (say(problem, "This token was not accepted."), field.select());
          token = given;
          remember("token", given);
          asking = null;
          $("dialog").close();
          done();
        },
      },
        h("h1", { id: "dialog-title" }, "Admin token"),
        h("p", { class: "note" }, "This gateway asks for its ", h("code", {}, "admin_token"), ". It stays in this tab and is forgotten when the tab is closed."),
        h("label", { class: "field" }, "Token", field), problem,
        h("div", { class: "acts" }, h("button", { class: "b main", type: "submit" }, "Continue")));
      openDialog(form, { stays: true });
    });
    return asking;
  }

  // ---------------------------------------------------------------- dialogs and messages

  function openDialog(content, { stays = false } = {}) {
    const dialog = $("dialog");
    if (dialog.open) dialog.close();
    put(dialog, content);
    dialog.oncancel = (event) => { if (stays) event.preventDefault(); };
    dialog.showModal();
  }

  let toldUntil = 0;
  function tell(message) {
    put($("told"), h("p", {}, message));
    clearTimeout(toldUntil);
    toldUntil = setTimeout(() => put($("told")), 6000);
  }

  const KEYS = [["1 – 6", "Go to a view"], ["/", "Go to the first field"], ["j k", "Next and previous row"], ["Enter", "Open the row"], ["Esc", "Close what is open"], ["?", "This list"]];
  let keysOn = remembered("keys") !== "off";
  function showKeys() {
    openDialog(h("div", { class: "stack" },
      h("h1", { id: "dialog-title" }, "Keys"),
      h("dl", { class: "keys" }, KEYS.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
      h("label", { class: "check" }, h("input", {
        type: "checkbox", checked: keysOn,
        onchange: (event) => { keysOn = event.target.checked; remember("keys", keysOn ? "on" : "off"); },
      }), "Single keys do these things"),
      h("div", { class: "acts" }, h("button", { class: "b main", type: "button", onclick: () => $("dialog").close() }, "Close"))));
  }

  // ---------------------------------------------------------------- polling

  let signs = { status: null, trouble: "" };
  /** Does something now and again and again while its view is open and the page is looked at. */
  function every(ms, work, signal) {
    let timer = 0, busy = false, due = true;
    const run = async () => {
      clearTimeout(timer);
      if (signal.aborted || busy) return;
      if (document.hidden) { due = true; return; }
      busy = true;
      due = false;
      try {
        await work();
        trouble("");
      } catch (error) {
        if (!signal.aborted) trouble(error.message);
      }
      busy = false;
      if (!signal.aborted) timer = setTimeout(run, ms);
    };
    const wake = () => { if (!document.hidden && due) run(); };
    document.addEventListener("visibilitychange", wake, { signal });
    signal.addEventListener("abort", () => clearTimeout(timer));
    run();
    return run;
  }

  function trouble(message) {
    if (signs.trouble === message) return;
    signs.trouble = message;
    drawState();
  }

  function drawState() {
    const { status, trouble } = signs;
    const line = (kind, text, more) => h("div", { class: `line ${more || ""}` }, h("span", { class: `dot ${kind}`, "aria-hidden": "true" }), v(text));
    const lines = [];
    if (trouble) lines.push(line("bad", trouble.length > 60 ? "Something failed" : trouble));
    else if (!status) lines.push(line("", "Connecting"));
    else if (status.draining) lines.push(line("ask", "Draining"));
    else if (status.records !== "ok") lines.push(line("bad", "Records cannot be written"));
    else if (!status.reload.ok) lines.push(line("ask", "Configuration not reloaded"));
    else lines.push(line("good", "Serving"));
    if (status) lines.push(h("div", { class: "dim more" }, `Version ${status.version}`));
    lines.push(h("div", { class: "more" }, h("button", { class: "plain small dim", type: "button", onclick: showKeys }, "Keys ", h("kbd", {}, "?"))));
    const shown = lines.map((part) => part.textContent).join("\n");
    if ($("state").shown !== shown) put($("state"), lines).shown = shown;
  }

  function drawWaiting(waiting) {
    const badge = document.querySelector("#nav .count");
    if (!badge) return;
    say(badge, waiting > 99 ? "99+" : String(waiting));
    badge.hidden = waiting === 0;
    badge.setAttribute("aria-label", `${waiting} waiting`);
  }

  // ---------------------------------------------------------------- where one is

  const VIEWS = [["overview", "Overview", overview], ["records", "Records", records], ["approvals", "Approvals", approvals], ["access", "Access", access], ["playground", "Playground", playground], ["configuration", "Configuration", configuration]];

  function here() {
    const [path, given] = location.hash.replace(/^#\/?/, "").split("?");
    return { name: path || "overview", given: new URLSearchParams(given || "") };
  }
  const to = (name, given) => `#/${name === "overview" ? "" : name}${query(given || {})}`;
  /** Puts what is chosen into the address, so that it can be passed on, without going anywhere. */
  const keep = (name, given) => history.replaceState(null, "", to(name, given));

  let leave = null;
  function go() {
    const { name, given } = here();
    const view = VIEWS.find(([known]) => known === name) || VIEWS[0];
    if (leave) leave.abort();
    leave = new AbortController();
    for (const link of document.querySelectorAll("#nav a")) {
      if (link.dataset.view === view[0]) {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
      }
      else link.removeAttribute("aria-current");
    }
    document.title = `${view[1]} · Tollgate`;
    const main = put($("main"));
    view[2](main, given, leave.signal);
    window.scrollTo(0, 0);
  }

  const title = (text, ...more) => h("div", { class: "head" }, h("h1", { tabindex: "-1" }, text), h("span", { class: "grow" }), more);

  function segments(label, options, chosen, choose) {
    const buttons = options.map(([value, text]) => h("button", {
      type: "button", "aria-pressed": String(value === chosen),
      onclick: (event) => {
        for (const button of buttons) button.setAttribute("aria-pressed", String(button === event.currentTarget));
        choose(value);
      },
    }, text));
    return h("div", { class: "seg", role: "group", "aria-label": label }, buttons);
  }

  /** The names of the tenants, for every list of them. */
  let names = [];
  async function tenantNames(signal) {
    const told = await call("/admin/tenants?limit=10000&since=1h", { signal });
    names = told.tenants.map((row) => row.tenant).sort();
    return names;
  }

  function tenantField(chosen, change, { any } = {}) {
    const field = h("select", { "aria-label": "Tenant", onchange: () => change(field.value) });
    const draw = () => {
      const now = field.value || chosen || "";
      const known = now && !names.includes(now) ? [now, ...names] : names;
      put(field, any ? h("option", { value: "" }, any) : null, known.map((name) => h("option", { value: name }, name)));
      field.value = now || (any ? "" : known[0] || "");
    };
    draw();
    return { field, draw };
  }

  /** Rows of a table that j, k and the arrows lead through. */
  function walk(body, signal) {
    body.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        event.preventDefault();
        stepRow(step);
      }
    }, { signal });
  }
  function stepRow(step) {
    const stops = [...document.querySelectorAll("main tr.row .plain")].filter((stop) => stop.offsetParent);
    if (!stops.length) return;
    const at = stops.indexOf(document.activeElement);
    const next = at < 0 ? 0 : Math.min(stops.length - 1, Math.max(0, at + step));
    stops[next].focus();
    stops[next].scrollIntoView({ block: "nearest" });
  }

  // ---------------------------------------------------------------- plots

  function plot(name, tint, format) {
    const caption = h("span", {});
    const drawing = s("svg", { role: "img" });
    const element = h("figure", { class: "card plot" }, h("figcaption", {}, h("b", {}, name), caption), drawing);
    let bars = [], sum = "", label = () => "";
    const show = (event) => {
      const box = drawing.getBoundingClientRect();
      const at = Math.floor(((event.clientX - box.left - 40) / Math.max(1, box.width - 40)) * bars.length);
      drawing.querySelectorAll(".bars rect").forEach((bar, number) => bar.classList.toggle("on", number !== at && at >= 0 && at < bars.length));
      say(caption, bars[at] ? `${format(bars[at].value)} · ${label(bars[at])}` : sum);
    };
    drawing.addEventListener("pointermove", show);
    drawing.addEventListener("pointerleave", () => { drawing.querySelectorAll(".on").forEach((bar) => bar.classList.remove("on")); say(caption, sum); });
    const draw = () => {
      const width = Math.max(160, drawing.clientWidth), height = Math.max(80, drawing.clientHeight);
      const left = 40, bottom = 18, inner = { w: width - left, h: height - bottom - 6 };
      const most = nice(Math.max(0, ...bars.map((bar) => bar.value)));
      const each = inner.w / Math.max(1, bars.length), gap = each > 6 ? 2 : each > 3 ? 1 : 0;
      const y = (value) => 6 + inner.h - (most ? value / most : 0) * inner.h;
      const lines = [0, most / 2, most].map((value) => [
        s("line", { class: "grid", x1: left, x2: width, y1: Math.round(y(value)) + .5, y2: Math.round(y(value)) + .5 }),
        value || !most ? s("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, most ? format(value, true) : value === 0 ? "0" : "") : null,
      ]);
      const rects = bars.map((bar, at) => {
        const tall = bar.value ? Math.max(1.5, y(0) - y(bar.value)) : 0;
        return s("rect", { x: left + at * each + gap / 2, y: y(0) - tall, width: Math.max(.6, each - gap), height: tall, rx: each > 8 ? 1.5 : 0 });
      });
      const ticks = bars.length ? [0, .25, .5, .75].map((share) => {
        const bar = bars[Math.floor(share * bars.length)];
        return s("text", { x: left + share * inner.w, y: height - 4, "text-anchor": "start" }, bar.tick);
      }) : [];
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const group = s("g", { class: "bars" }, rects);
      group.style.setProperty("--tint", `var(${tint})`);
      put(drawing, lines, group, ticks);
    };
    new ResizeObserver(draw).observe(drawing);
    return {
      element,
      set(given, words, of) {
        const total = given.reduce((all, bar) => all + bar.value, 0);
        [bars, sum, label] = [given, `${format(total)} in ${words}`, of];
        drawing.setAttribute("aria-label", `${name} over time: ${sum}, at most ${format(Math.max(0, ...given.map((bar) => bar.value)))} at once`);
        if (!drawing.matches(":hover")) say(caption, sum);
        draw();
      },
    };
  }

  function nice(most) {
    if (most <= 0) return 0;
    const power = 10 ** Math.floor(Math.log10(most));
    return [1, 2, 5, 10].map((times) => times * power).find((value) => value >= most * .999);
  }

  const WINDOWS = [
    ["1h", "1 h", { steps: 60, seconds: 60, words: "the last hour" }],
    ["24h", "24 h", { steps: 24, seconds: 3600, words: "24 hours" }],
    ["7d", "7 d", { steps: 168, seconds: 3600, words: "7 days" }],
    ["30d", "30 d", { steps: 30, seconds: 86400, words: "30 days" }],
  ];

  /** Points of the series in bars of one length each, up to now. */
  function barsOf(told, { steps, seconds }, value) {
    const last = Math.floor(new Date(told.time).getTime() / 1000 / seconds) * seconds;
    const bars = Array.from({ length: steps }, (_, at) => {
      const date = new Date((last - (steps - 1 - at) * seconds) * 1000);
      return { date, value: 0, tick: seconds >= 86400 || steps > 100 ? dayTime.format(date) : hourTime.format(date) };
    });
    for (const point of told.points) {
      const at = steps - 1 - Math.round((last - Math.floor(new Date(point.time).getTime() / 1000 / seconds) * seconds) / seconds);
      if (bars[at]) bars[at].value += value(point);
    }
    return bars;
  }

  function spark() {
    const line = s("path", {}), under = s("path", { class: "under" });
    const element = s("svg", { class: "spark", viewBox: "0 0 92 22", preserveAspectRatio: "none", role: "img" }, under, line);
    return {
      element,
      set(values) {
        const most = Math.max(1, ...values);
        const points = values.map((value, at) => `${((at / (values.length - 1)) * 92).toFixed(1)} ${(20.5 - (value / most) * 18).toFixed(1)}`);
        line.setAttribute("d", `M${points.join("L")}`);
        under.setAttribute("d", `M0 22L${points.join("L")}L92 22Z`);
        element.setAttribute("aria-label", `Requests of the last 30 minutes: ${values.reduce((a, b) => a + b, 0)}`);
      },
    };
  }

  function meter() {
    const words = h("span", { class: "words" }), bar = h("div", { class: "fill" });
    const track = h("div", { class: "track", role: "meter", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": "Budget spent" }, bar);
    const element = h("div", { class: "meter" }, words, track);
    return {
      element,
      set(row) {
        const worst = row.budgets.map((budget) => ({ ...budget, share: budget.limit_usd ? budget.spent_usd / budget.limit_usd : 1 })).sort((a, b) => b.share - a.share)[0];
        track.hidden = !worst;
        if (!worst) return say(words, row.cost_usd ? `${usd(row.cost_usd)}, no budget` : "no budget");
        say(words, `${usd(worst.spent_usd)} of ${worst.budget.replace(/^([\d.]+) USD/, "$$$1")}`);
        track.setAttribute("aria-valuenow", String(Math.round(Math.min(1, worst.share) * 100)));
        bar.className = `fill ${worst.share >= 1 ? "over" : worst.share >= .8 ? "near" : ""}`;
        bar.style.setProperty("--share", String(Math.min(1, worst.share)));
        element.title = row.budgets.map((budget) => `${usd(budget.spent_usd)} of ${budget.budget}, since ${when(budget.since)}`).join("\n");
      },
    };
  }

  // ---------------------------------------------------------------- overview

  const TITLES = { p99: "Of the last 5 minutes, 99 of 100 requests took no longer: from their first byte to the end of their answer, with what they waited in queues and for a person" };

  function overview(main, given, signal) {
    let chosen = given.get("tenant") || "", range = given.get("range") || remembered("range") || "24h", filter = "";
    if (!WINDOWS.some(([name]) => name === range)) range = "24h";
    let sort = { by: "requests", down: true }, last = null;
    const settings = () => WINDOWS.find(([name]) => name === range)[2];

    const tenant = tenantField(chosen, (name) => { chosen = name; again(); }, { any: "All tenants" });
    tenant.field.classList.add("w-m");
    const figures = [["Requests", "requests"], ["Denied", "denied"], ["Spend", "spend"], ["Tokens", "tokens"], ["p99", "p99"], ["In flight", "flight"], ["Waiting", "waiting"]].map(([name, key]) => {
      const value = h("span", {}, "–"), under = h("div", { class: "under" });
      return { key, value, under, element: h("div", { class: "figure", title: TITLES[key] || null }, h("dt", {}, name), h("dd", {}, value, under)) };
    });
    const set = (key, value, under) => {
      const figure = figures.find((one) => one.key === key);
      say(figure.value, value);
      say(figure.under, under || "");
    };
    const number = (value) => count(value), money = (value) => usd(value);
    const plots = [
      ["Requests", "--chart", (axis, brief) => (brief ? short.format(axis) : number(axis)), (point) => point.requests],
      ["Denied", "--chart-bad", (axis, brief) => (brief ? short.format(axis) : number(axis)), (point) => point.denied],
      ["Spend", "--chart-money", money, (point) => point.cost_usd],
    ].map(([name, tint, format, value]) => ({ ...plot(name, tint, format), value }));

    const columns = [
      ["tenant", "Tenant", (row) => row.tenant], [null, "Last 30 min"], ["per_second", "Req/s", (row) => row.per_second], ["requests", "Requests", (row) => row.requests],
      ["denied", "Denied", (row) => row.denied], ["spend", "Spend", (row) => row.cost_usd], ["p99", "p99", (row) => row.p99_ms || 0],
      ["flight", "In flight", (row) => row.in_flight], ["queued", "Queued", (row) => row.queued || 0],
    ];
    const heads = columns.map(([key, name, value]) => {
      const cell = h("th", { scope: "col", title: TITLES[key] || null, class: !key ? "c-line" : key !== "tenant" && key !== "spend" ? "num" : "" }, key ? h("button", {
        type: "button",
        onclick: () => {
          sort = { by: key, down: sort.by === key ? !sort.down : key !== "tenant" };
          draw();
        },
      }, name) : name);
      return { key, cell };
    });
    const body = h("tbody", {});
    walk(body, signal);
    const note = h("p", { class: "empty", hidden: true });
    const search = h("input", { type: "search", placeholder: "Filter tenants", "aria-label": "Filter tenants", class: "w-l", oninput: () => { filter = search.value.trim().toLowerCase(); draw(); } });
    const shown = h("span", { class: "dim small" });

    put(main,
      title("Overview", tenant.field, segments("Time", WINDOWS.map(([name, text]) => [name, text]), range, (name) => { range = name; remember("range", name); again(); })),
      h("div", { class: "stack" },
        h("dl", { class: "card figures" }, figures.map((figure) => figure.element)),
        h("div", { class: "plots" }, plots.map((one) => one.element)),
        h("section", { class: "card", "aria-labelledby": "tenants-title" },
          h("div", { class: "top" }, h("h2", { id: "tenants-title" }, "Tenants"), shown, h("span", { class: "grow" }), search),
          h("div", { class: "scroll" }, h("table", { class: "cards tenants", role: "table" }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((head) => head.cell))), body)), note)));

    function draw() {
      if (!last) return;
      for (const { key, cell } of heads) {
        if (key === sort.by) cell.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
      }
      const value = columns.find(([key]) => key === sort.by)[2];
      const order = (a, b) => (value(a) > value(b) ? 1 : value(a) < value(b) ? -1 : a.tenant < b.tenant ? -1 : 1);
      const rows = last.tenants.filter((row) => row.tenant.includes(filter)).sort((a, b) => (sort.down ? order(b, a) : order(a, b)));
      const most = rows.slice(0, 300);
      say(shown, most.length < last.count ? `${count(most.length)} of ${count(last.count)}` : count(last.count));
      note.hidden = most.length > 0;
      say(note, last.count ? "No tenant is called that." : "No tenant is configured.");
      keyed(body, most, (row) => row.tenant, (row) => {
        const cell = (name, more) => h("td", { role: "cell", class: `num ${more || ""}`, "data-label": name }, h("span", {}));
        const cells = { per_second: cell("Req/s"), requests: cell("Requests"), denied: cell("Denied"), p99: cell("p99"), flight: cell("In flight", "gone"), queued: cell("Queued", "gone") };
        const [line, spend] = [spark(), meter()];
        const open = () => { location.hash = to("records", { tenant: row.tenant }); };
        const waiting = h("span", { class: "tag ask", hidden: true });
        const element = h("tr", { class: "row", role: "row", onclick: (event) => { if (!event.target.closest("a")) open(); } },
          h("td", { role: "cell" }, h("a", { class: "plain v", href: to("records", { tenant: row.tenant }) }, row.tenant), " ", waiting),
          h("td", { role: "cell", class: "c-line" }, line.element), cells.per_second, cells.requests, cells.denied,
          h("td", { role: "cell", class: "wide" }, spend.element), cells.p99, cells.flight, cells.queued);
        return { element, cells, line, spend, waiting };
      }, (entry, row) => {
        const { cells } = entry;
        say(cells.per_second.firstChild, rate(row.per_second));
        say(cells.requests.firstChild, count(row.requests));
        say(cells.denied.firstChild, row.denied ? `${count(row.denied)}${row.requests ? ` · ${Math.min(100, Math.round((row.denied / row.requests) * 100))}%` : ""}` : "0");
        say(cells.p99.firstChild, span(row.p99_ms));
        say(cells.flight.firstChild, count(row.in_flight));
        say(cells.queued.firstChild, row.queued === null ? "–" : count(row.queued));
        entry.waiting.hidden = !row.waiting;
        say(entry.waiting, `${row.waiting} waiting`);
        entry.line.set(row.recent);
        entry.spend.set(row);
      });
    }

    async function load() {
      const { seconds, steps, words } = settings();
      const asked = { tenant: chosen, range };
      // The first bar's beginning, so that figures and plots tell of the same time.
      const first = new Date((Math.floor(Date.now() / 1000 / seconds) - steps + 1) * seconds * 1000).toISOString();
      const [told, series] = await Promise.all([
        call(`/admin/tenants${query({ since: first })}`, { signal }),
        call(`/admin/series${query({ tenant: asked.tenant, since: first, step: seconds === 60 ? "minute" : "hour" })}`, { signal }),
      ]);
      if (asked.tenant !== chosen || asked.range !== range) return;
      last = told;
      if (!names.length || names.length < told.tenants.length) {
        names = told.tenants.map((row) => row.tenant).sort();
        tenant.draw();
      }
      const one = chosen ? told.tenants.find((row) => row.tenant === chosen) || (await call(`/admin/tenants${query({ tenant: chosen, since: first })}`, { signal })).tenants[0] : told.all;
      if (one) {
        set("requests", count(one.requests), `${rate(one.per_second)}/s now`);
        set("denied", count(one.denied), one.requests ? `${((one.denied / one.requests) * 100).toFixed(1)}% of requests` : "");
        set("spend", usd(one.cost_usd), `in ${words}`);
        set("tokens", count(one.input_tokens + one.output_tokens), `${short.format(one.input_tokens)} in, ${short.format(one.output_tokens)} out`);
        set("p99", span(one.p99_ms), "5 min, waits included");
        set("flight", count(one.in_flight), "");
        set("waiting", count(one.waiting), one.waiting ? "for a person" : "");
      }
      drawWaiting(told.all.waiting);
      const label = (bar) => (seconds >= 86400 ? dayTime.format(bar.date) : seconds === 3600 ? `${dayTime.format(bar.date)}, ${hourTime.format(bar.date)}` : hourTime.format(bar.date));
      for (const one of plots) one.set(barsOf(series, settings(), one.value), words, label);
      draw();
    }
    const again = () => {
      keep("overview", { tenant: chosen, range });
      load().catch((error) => { if (!signal.aborted) trouble(error.message); });
    };
    every(5000, load, signal);
  }

  // ---------------------------------------------------------------- what is shown of rules and values

  function jsonText(value) {
    const out = [];
    const print = (value, indent) => {
      const pad = "  ".repeat(indent);
      if (value === null || typeof value === "boolean") return out.push(h("span", { class: "d" }, String(value)));
      if (value instanceof Digits) return out.push(h("span", { class: "d" }, value.text));
      if (typeof value === "number") return out.push(h("span", { class: "d" }, String(value)));
      if (typeof value === "string") return out.push(h("span", { class: "s v" }, JSON.stringify(value)));
      const list = Array.isArray(value), items = list ? value.map((item) => [null, item]) : Object.entries(value);
      if (!items.length) return out.push(list ? "[]" : "{}");
      out.push(list ? "[\n" : "{\n");
      items.forEach(([name, item], at) => {
        out.push(`${pad}  `);
        if (name !== null) out.push(h("span", { class: "k v" }, JSON.stringify(name)), ": ");
        print(item, indent + 1);
        out.push(at < items.length - 1 ? ",\n" : "\n");
      });
      return out.push(pad, list ? "]" : "}");
    };
    print(value, 0);
    return out;
  }
  const jsonBlock = (value) => h("pre", { class: "text", tabindex: "0" }, jsonText(value));

  function yamlBlock(yaml) {
    const rows = yaml.lines.map((line, at) => {
      const comment = /(^|\s)#.*$/.exec(line), code = comment ? line.slice(0, comment.index) : line;
      const parts = [];
      const word = /("[^"]*"|'[^']*')|([A-Za-z_][\w.-]*)(?=:(\s|$))|([^"'A-Za-z_]+|[A-Za-z_][\w.-]*)/g;
      for (let found = word.exec(code); found; found = word.exec(code)) {
        if (found[1]) parts.push(h("span", { class: "s" }, found[1]));
        else if (found[2]) parts.push(h("span", { class: "k" }, found[2]));
        else parts.push(found[0]);
      }
      if (parts.map((part) => (part instanceof Node ? part.textContent : tame(part))).join("") !== tame(code)) parts.splice(0, parts.length, code);
      return [h("span", { class: "n", "aria-hidden": "true" }, String(yaml.first + at)), h("span", { class: "l v" }, parts, comment ? h("span", { class: "c" }, comment[0]) : null)];
    });
    return h("pre", { class: "text yaml", tabindex: "0" }, rows);
  }

  /** The rule that decided, in the words of its file. */
  function ruleBlock(tenant, rule, config, signal) {
    const place = h("div", { class: "stack" }, h("p", { class: "note" }, "Looking up the rule…"));
    place.classList.add("rule-text");
    call(`/admin/rule${query({ tenant, rule })}`, { signal }).then((told) => {
      const changed = config && told.config !== config;
      put(place, told.yaml ? yamlBlock(told.yaml) : h("p", { class: "note" }, "The file's text is not kept."),
        changed ? h("p", { class: "note" }, "The configuration has changed since: this is the rule as it stands there now.") : null);
    }, (error) => {
      if (!signal.aborted) put(place, h("p", { class: "note" }, error.status === 404 ? "The configuration that runs has no rule there any more." : error.message));
    });
    return place;
  }

  const facts = (pairs) => h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [
    h("dt", {}, name), h("dd", {}, value instanceof Node ? value : v(value instanceof Digits ? value.text : value)),
  ]));

  // ---------------------------------------------------------------- records

  function records(main, given, signal) {
    const chosen = Object.fromEntries(["tenant", "kind", "tool", "decision", "status", "request", "since"].map((name) => [name, given.get(name) || ""]));
    let rows = [], older = null, newer = null, fresh = [], live = given.get("live") !== "no", asked = 0, open = null, busy = false;
    const tenant = tenantField(chosen.tenant, (name) => { chosen.tenant = name; start(); });
    const input = (name, label, more, width) => h("label", { class: `field ${width}` }, label, h("input", { value: chosen[name], spellcheck: "false", autocomplete: "off", ...more, onchange: (event) => { chosen[name] = event.target.value.trim(); start(); } }));
    const select = (name, label, options) => {
      const field = h("select", { onchange: () => { chosen[name] = field.value; start(); } }, options.map(([value, text]) => h("option", { value }, text)));
      field.value = chosen[name];
      return h("label", { class: "field w-s" }, label, field);
    };
    const follow = h("input", { type: "checkbox", checked: live, onchange: () => { live = follow.checked; } });
    const more = h("button", { class: "b", type: "button", onclick: () => load(true) }, "Older");
    const pill = h("button", { class: "b main", type: "button", onclick: () => { take(); window.scrollTo(0, 0); } });
    const words = h("span", { class: "dim small", role: "status" });
    const problem = h("p", { class: "problem", role: "alert" });
    const body = h("tbody", {});
    walk(body, signal);
    const note = h("p", { class: "empty" }, "Loading…");
    const detail = h("aside", { class: "card detail", hidden: true, "aria-label": "One record" });
    const split = h("div", { class: "split" },
      h("section", { class: "card", "aria-label": "Records" },
        h("table", { class: "records cards", role: "table" },
          h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, [["Time", "c-time"], ["Kind", "c-kind"], ["Outcome", "c-out"], ["What", "c-what"], ["Why", ""], ["Key", "c-key"]].map(([name, kind]) => h("th", { scope: "col", class: kind }, name)))), body),
        note, h("div", { class: "foot" }, more, words)),
      detail);
    pill.hidden = true;
    put(main,
      title("Records", pill, h("label", { class: "check" }, follow, "Live")),
      h("div", { class: "stack" },
        h("form", { class: "card", role: "search", onsubmit: (event) => event.preventDefault() }, h("div", { class: "body fields seven" },
          h("label", { class: "field w-m" }, "Tenant", tenant.field),
          select("kind", "Kind", [["", "All"], ["audit", "Decisions"], ["log", "Requests"]]),
          select("decision", "Decision", [["", "Any"], ["allow", "allow"], ["ask", "ask"], ["deny", "deny"]]),
          input("tool", "Tool", { placeholder: "crm__*" }, "w-m"),
          input("status", "Status", { placeholder: "4xx", inputmode: "text" }, "w-s"),
          input("since", "Since", { placeholder: "24h" }, "w-s"),
          input("request", "Request id", { placeholder: "x-request-id" }, "w-l")),
        h("div", { class: "body", hidden: true }, problem)),
        split));
    const problemPlace = problem.parentElement;

    /** Why, in one line: of a rule's place the line number stays, however long the file's name is. */
    function placed(why) {
      const [, path, number] = /^(.+)(:\d+)$/.exec(why) || [];
      return path ? h("div", { class: "v place", title: why }, h("span", { class: "path" }, path), h("span", {}, number)) : h("div", { class: "v", title: why }, why);
    }

    function row(item) {
      const { record, kind } = item;
      const audit = kind === "audit";
      const outcome = audit ? tag(record.decision) : tag(String(record.status), record.status < 400 ? "ok" : record.status < 500 ? "warn" : "fail");
      const shadow = audit && record.mode === "shadow" ? h("span", { class: "dim small" }, " shadow") : null;
      const what = audit ? record.tool : record.model || record.dialect;
      const under = audit ? (record.args === undefined || record.args === null ? record.place : `${record.place} · ${typeof record.args === "string" ? record.args : JSON.stringify(record.args)}`)
        : record.prompt || `${record.dialect}${record.upstream ? ` → ${record.upstream}` : ""}`;
      const why = audit ? record.rule || "no rule" : record.error || span(record.latency_ms);
      const more = audit ? (record.by ? `by ${record.by}` : record.reason || "") : [record.input_tokens !== null ? `${count(record.input_tokens)} in, ${count(record.output_tokens || 0)} out` : "", record.cost_usd ? usd(record.cost_usd) : "", (record.tools_denied || []).length ? `${record.tools_denied.length} denied` : ""].filter(Boolean).join(" · ");
      const element = h("tr", { class: "row", role: "row", onclick: (event) => { if (!event.target.closest("button")) show(item); } },
        h("td", { role: "cell", class: "c-time" }, timeOf(record.time)),
        h("td", { role: "cell", class: "c-kind gone dim" }, audit ? "Decision" : "Request"),
        h("td", { role: "cell", class: "c-out" }, outcome, shadow),
        h("td", { role: "cell", class: "c-what wide" }, h("button", { class: "plain v", type: "button", onclick: () => show(item), "aria-expanded": "false", title: what || "" }, what || "–"), h("div", { class: "sub v", title: under }, under)),
        h("td", { role: "cell", class: "wide" }, placed(why), h("div", { class: "sub v", title: more }, more)),
        h("td", { role: "cell", class: "c-key gone v" }, record.key));
      return { element };
    }

    function draw() {
      keyed(body, rows, (item) => item.at, row, (entry, item) => {
        const is = open === item.at;
        entry.element.classList.toggle("chosen", is);
        entry.element.querySelector("button.plain").setAttribute("aria-expanded", String(is));
      });
      note.hidden = rows.length > 0;
      say(note, older ? "Nothing among the records that were looked at." : "No record fits.");
      more.disabled = !older;
      say(words, older ? `${count(rows.length)} shown; there are older ones` : `${count(rows.length)} shown; these are all`);
      pill.hidden = fresh.length === 0;
      say(pill, `${fresh.length === 1 ? "1 new record" : `${fresh.length} new records`}`);
    }

    /** What came in the meantime goes to the top. */
    function take() {
      rows = [...fresh, ...rows].slice(0, 2000);
      fresh = [];
      draw();
    }

    const filters = () => ({ ...chosen });
    async function load(further) {
      if (busy && further) return;
      const mine = ++asked;
      busy = true;
      more.disabled = true;
      try {
        const told = await call(`/admin/records${query({ ...filters(), limit: 100, cursor: further ? older : "" })}`, { signal });
        if (mine !== asked) return;
        rows = further ? [...rows, ...told.records] : told.records;
        older = told.older;
        if (!further) [newer, fresh] = [told.newer, []];
        problemPlace.hidden = true;
        draw();
      } catch (error) {
        if (signal.aborted || mine !== asked) return;
        if (!further) [rows, older, newer] = [[], null, null];
        problemPlace.hidden = false;
        say(problem, error.message);
        draw();
      } finally {
        if (mine === asked) busy = false;
      }
    }

    async function since() {
      if (!live || !newer || busy) return;
      const mine = asked;
      const told = await call(`/admin/records${query({ ...filters(), since: "", after: newer, limit: 200 })}`, { signal });
      if (mine !== asked) return;
      newer = told.newer;
      if (!told.records.length) return;
      fresh = [...told.records, ...fresh].slice(0, 2000);
      // Nothing moves under the eyes of somebody who reads further down or in a record.
      if (window.scrollY < 8 && !open && !body.contains(document.activeElement)) take();
      else draw();
    }

    function start() {
      keep("records", { ...chosen, live: live ? "" : "no" });
      close();
      load(false);
    }

    function close() {
      if (!open) return;
      const at = open;
      open = null;
      detail.hidden = true;
      put(detail);
      split.classList.remove("open");
      draw();
      const entry = body.known && body.known.get(at);
      if (entry) entry.element.querySelector("button.plain").focus({ preventScroll: true });
    }

    async function show(item) {
      open = item.at;
      split.classList.add("open");
      detail.hidden = false;
      draw();
      const closeButton = h("button", { class: "b", type: "button", onclick: close }, "Close ", h("kbd", {}, "Esc"));
      put(detail, h("div", { class: "top" }, h("h2", {}, item.kind === "audit" ? "Decision" : "Request"), h("span", { class: "grow" }), closeButton), h("div", { class: "body" }, h("p", { class: "note" }, "Loading…")));
      closeButton.focus({ preventScroll: true });
      let told;
      try {
        told = await call(`/admin/records${query({ tenant: chosen.tenant, at: item.at })}`, { signal, digits: true });
      } catch (error) {
        if (!signal.aborted && open === item.at) put(detail.lastChild, h("p", { class: "problem" }, error.message));
        return;
      }
      if (open !== item.at) return;
      const record = told.records[0].record;
      put(detail.lastChild, item.kind === "audit" ? decisionDetail(record) : requestDetail(record));
    }

    const request = (record) => h("span", {}, h("code", { class: "v" }, record.request_id), " ", record.request_id === chosen.request ? null : h("a", { href: to("records", { tenant: chosen.tenant, request: record.request_id }) }, "all of it"));

    function decisionDetail(record) {
      const known = ["time", "tenant", "key", "request_id", "place", "tool", "args", "args_hmac", "decision", "rule", "reason", "config", "mode", "by", "prev", "hash"];
      const other = Object.entries(record).filter(([name]) => !known.includes(name)).map(([name, value]) => [name, typeof value === "object" && !(value instanceof Digits) ? JSON.stringify(value) : value]);
      return h("div", { class: "stack" },
        h("div", { class: "verdict" }, tag(record.decision), h("b", { class: "v" }, record.tool), record.mode === "shadow" ? tag("shadow, not enforced", "warn") : null),
        record.reason ? h("p", { class: "v" }, record.reason) : null,
        h("h3", {}, "Rule ", record.rule ? h("code", { class: "v" }, record.rule) : null),
        record.rule ? ruleBlock(record.tenant, record.rule, record.config, signal) : h("p", { class: "note" }, "No rule allows it: what nothing allows is denied."),
        record.args === undefined || record.args === null ? null : [h("h3", {}, "Arguments, redacted"), jsonBlock(record.args)],
        facts([["Time", timeOf(record.time)], ["Tenant", record.tenant], ["Key", record.key], ["Place", record.place], ["Decided by", record.by], ["Request", request(record)], ...other]),
        h("div", {}, h("a", { class: "b", href: to("playground", { tenant: record.tenant, key: record.key, tool: record.tool, place: record.place, args: record.args === undefined || record.args === null ? "" : JSON.stringify(record.args, (_, value) => value) }) }, "Explain in the playground")),
        h("details", {}, h("summary", {}, "Chain and configuration"), facts([["Configuration", h("code", { class: "v" }, record.config)], ["Arguments' HMAC", record.args_hmac && h("code", { class: "v" }, record.args_hmac)], ["Previous", h("code", { class: "v" }, record.prev)], ["Hash", h("code", { class: "v" }, record.hash)]])));
    }

    function requestDetail(record) {
      const text = (name, value) => (value === undefined || value === null ? null : [h("h3", {}, name), typeof value === "string" ? h("pre", { class: "text v", tabindex: "0" }, value) : jsonBlock(value)]);
      return h("div", { class: "stack" },
        h("div", { class: "verdict" }, tag(String(record.status), record.status < 400 ? "ok" : record.status < 500 ? "warn" : "fail"), h("b", { class: "v" }, record.model || record.dialect), record.error ? h("code", { class: "v" }, record.error) : null),
        (record.tools_denied || []).length ? h("p", {}, "Denied calls: ", record.tools_denied.map((tool, at) => [at ? ", " : "", h("code", { class: "v" }, tool)])) : null,
        facts([["Time", timeOf(record.time)], ["Tenant", record.tenant], ["Key", record.key], ["Dialect", record.dialect], ["Upstream", record.upstream], ["Took", span(record.latency_ms)], ["First token", record.ttft_ms === null ? null : span(record.ttft_ms)],
          ["Tokens", record.input_tokens === null ? null : `${whole.format(record.input_tokens)} in, ${whole.format(record.output_tokens || 0)} out${record.usage_estimated ? ", estimated" : ""}`],
          ["Cost", record.cost_usd === null ? null : `$${record.cost_usd instanceof Digits ? record.cost_usd.text : record.cost_usd}`], ["Request", request(record)]]),
        text("Prompt, redacted", record.prompt), text("Answer, redacted", record.completion));
    }

    escape = () => (open ? (close(), true) : false);
    signal.addEventListener("abort", () => { escape = () => false; });
    (async () => {
      try { if (!names.length) await tenantNames(signal); } catch (error) { if (!signal.aborted) trouble(error.message); }
      if (signal.aborted) return;
      tenant.draw();
      if (!chosen.tenant) chosen.tenant = tenant.field.value;
      if (!chosen.tenant) return say(note, "No tenant is configured.");
      keep("records", { ...chosen, live: live ? "" : "no" });
      await load(false);
      every(2000, since, signal);
    })();
  }

  // ---------------------------------------------------------------- approvals

  function approvals(main, given, signal) {
    let by = remembered("by");
    const decided = new Map();
    const who = h("input", { value: by, placeholder: "ada@example.com", autocomplete: "off", spellcheck: "false", maxlength: "200", id: "by", oninput: () => { by = who.value.trim(); remember("by", by); who.removeAttribute("aria-invalid"); } });
    const list = h("div", { class: "stack" });
    const note = h("div", { class: "card empty" }, "Loading…");
    put(main,
      title("Approvals", h("label", { class: "check" }, "Deciding as", who)),
      note, list);
    let shown = [];

    function card(item) {
      const left = h("span", { class: "left dim" }), acts = h("div", { class: "acts" }), outcome = h("span", { role: "status" });
      const cut = typeof item.args === "string" && item.args.includes("[cut: ");
      const args = h("div", { class: "stack" }, jsonBlock(item.args));
      let whole = !cut;
      const decide = async (approve) => {
        if (!by) {
          who.setAttribute("aria-invalid", "true");
          who.focus();
          return tell("Who decides? The audit trail names you: fill in “Deciding as” first.");
        }
        if (approve && !whole) return tell("Look at the whole arguments before you approve them.");
        buttons.forEach((button) => { button.disabled = true; });
        try {
          await call(`/admin/approvals/${encodeURIComponent(item.id)}`, { method: "POST", body: JSON.stringify({ approve, by }), signal });
          decided.set(item.id, approve ? "approved" : "denied");
          put(outcome, tag(approve ? "approved" : "denied", approve ? "allow" : "deny"), " by ", v(by));
        } catch (error) {
          if (signal.aborted) return;
          if (error.status === 404 || error.status === 409) decided.set(item.id, "over");
          else buttons.forEach((button) => { button.disabled = false; });
          put(outcome, v(error.message, "problem"));
        }
        refresh();
      };
      const buttons = [
        h("button", { class: "b main", type: "button", "data-act": "approve", onclick: () => decide(true) }, "Approve once"),
        h("button", { class: "b danger", type: "button", "data-act": "deny", onclick: () => decide(false) }, "Deny"),
      ];
      if (cut) {
        const all = h("button", { class: "b", type: "button", onclick: async () => {
          try {
            const told = await call(`/admin/approvals/${encodeURIComponent(item.id)}`, { signal, digits: true });
            put(args, jsonBlock(told.args));
            whole = true;
            all.remove();
          } catch (error) { if (!signal.aborted) tell(error.message); }
        } }, "Show all of the arguments");
        args.append(all);
      }
      fill(acts, [buttons, outcome]);
      const element = h("article", { class: "card call", "aria-label": `Call of ${item.tool} by ${item.tenant}` },
        h("div", { class: "title" }, h("b", { class: "v" }, item.tool), h("span", { class: "dim" }, "tenant ", v(item.tenant), ", key ", v(item.key)), left),
        h("div", { class: "stack" }, h("h3", {}, "Arguments, redacted"), item.warning ? h("p", { class: "warning" }, `Careful: ${item.warning}.`) : null, args),
        h("div", { class: "stack" }, h("h3", {}, "Rule ", h("code", { class: "v" }, item.rule)), ruleBlock(item.tenant, item.rule, null, signal), item.reason ? h("p", { class: "note v" }, item.reason) : null),
        acts);
      return { element, left, buttons, outcome };
    }

    async function load() {
      const told = await call("/admin/approvals", { signal, digits: true });
      const there = new Set(told.map((item) => item.id));
      // What is over stays where it is until the view is left: nothing moves under a hand that decides.
      const gone = shown.filter((item) => !there.has(item.id));
      for (const item of gone) if (!decided.has(item.id)) decided.set(item.id, "over");
      shown = [...shown, ...told.filter((item) => !shown.some((known) => known.id === item.id))].slice(-200);
      note.hidden = shown.length > 0;
      say(note, "No call waits for a person. Calls that a rule with “ask” matches are held here until somebody decides, or their time is over.");
      drawWaiting(told.filter((item) => !decided.has(item.id)).length);
      keyed(list, shown, (item) => item.id, card, (entry, item) => {
        const seconds = Math.max(0, Math.round((new Date(item.expires).getTime() - Date.now()) / 1000));
        const state = decided.get(item.id);
        say(entry.left, state ? "" : `${seconds >= 120 ? `${Math.floor(seconds / 60)} min` : `${seconds} s`} left`);
        if (state) entry.buttons.forEach((button) => { button.disabled = true; });
        if (state === "over" && !entry.outcome.textContent) say(entry.outcome, "Decided elsewhere, or over.");
      });
    }
    const refresh = every(2000, load, signal);
  }

  // ---------------------------------------------------------------- access

  function access(main, given, signal) {
    let chosen = given.get("tenant") || "", tool = given.get("tool") || "", filter = "";
    const tenant = tenantField(chosen, (name) => { chosen = name; load(); });
    const find = h("input", { type: "search", value: tool, placeholder: "crm__refund", spellcheck: "false", autocomplete: "off", onchange: () => { tool = find.value.trim(); load(); } });
    const narrow = h("input", { type: "search", placeholder: "Filter rows", oninput: () => { filter = narrow.value.trim().toLowerCase(); filtered(); } });
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    const place = h("div", { class: "stack" }), rule = h("section", { class: "card", hidden: true, "aria-label": "Why" });
    put(main, title("Access"),
      h("div", { class: "stack" },
        h("form", { class: "card", role: "search", onsubmit: (event) => event.preventDefault() }, h("div", { class: "body fields" },
          h("label", { class: "field w-m" }, "Tenant", tenant.field),
          h("label", { class: "field w-l" }, "Rows", narrow),
          h("label", { class: "field w-l" }, "Or: who can call this tool", find))),
        problem, rule, place));

    const why = (what, entry) => {
      rule.hidden = false;
      const isPlace = /:\d+$/.test(entry.by);
      put(rule, h("div", { class: "top" }, tag(entry.access), h("b", { class: "v" }, entry.name), h("span", { class: "dim" }, what), h("span", { class: "grow" }), h("button", { class: "b", type: "button", onclick: () => { rule.hidden = true; } }, "Close")),
        h("div", { class: "body stack" }, entry.about ? h("p", { class: "v" }, entry.about) : null,
          h("h3", {}, isPlace ? ["Rule ", h("code", { class: "v" }, entry.by)] : v(entry.by)), isPlace ? ruleBlock(entry.tenant, entry.by, null, signal) : null));
      rule.scrollIntoView({ block: "nearest" });
    };
    escape = () => (rule.hidden ? false : ((rule.hidden = true), true));
    signal.addEventListener("abort", () => { escape = () => false; });

    const cell = (entry, who) => h("td", { class: "cell" }, entry
      ? h("button", { type: "button", title: entry.by, "aria-label": `${entry.name}, ${who}: ${entry.access}, by ${entry.by}`, onclick: () => why(who, entry) }, tag(entry.access))
      : h("span", { class: "dim", title: "no rule names it" }, "–"));

    function table(name, rows, keys) {
      const all = [...new Set(rows.flatMap((row) => row[name].map((entry) => entry.name)))].slice(0, 2000);
      if (!all.length) return h("p", { class: "empty" }, "None.");
      const of = rows.map((row) => new Map(row[name].map((entry) => [entry.name, { ...entry, tenant: row.tenant }])));
      return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${name} by key` }, h("table", { class: "matrix" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Name"), keys.map((key) => h("th", { scope: "col", class: "key" }, v(key))))),
        h("tbody", {}, all.map((entry) => h("tr", { "data-name": entry.toLowerCase() }, h("th", { scope: "row" }, v(entry)), of.map((entries, at) => cell(entries.get(entry), `key ${keys[at]}`)))))));
    }

    function filtered() {
      for (const row of place.querySelectorAll("tr[data-name]")) row.hidden = !row.dataset.name.includes(filter);
    }

    async function load() {
      rule.hidden = true;
      keep("access", { tenant: chosen, tool });
      try {
        const told = await call(`/admin/access${query(tool ? { tool } : { tenant: chosen })}`, { signal });
        problem.hidden = true;
        if (tool) {
          put(place, h("section", { class: "card" }, h("div", { class: "top" }, h("h2", {}, "Who can call ", v(tool)), h("span", { class: "dim small" }, count(told.who.length))),
            told.who.length ? h("div", { class: "scroll", tabindex: "0" }, h("table", {}, h("thead", {}, h("tr", {}, ["Tenant", "Key", "", "Rule"].map((name) => h("th", { scope: "col" }, name)))),
              h("tbody", {}, told.who.slice(0, 2000).map((one) => h("tr", { class: "row", onclick: () => why(`${one.tenant}, key ${one.key || "none"}`, one) },
                h("td", {}, h("button", { class: "plain v", type: "button" }, one.tenant)), h("td", {}, v(one.key || "none"), one.expired ? " (expired)" : ""), h("td", {}, tag(one.access)), h("td", {}, h("code", { class: "v" }, one.by))))))) : h("p", { class: "empty" }, "Nobody can.")));
          return;
        }
        const rows = told.access, keys = rows.map((row) => `${row.key || "no key"}${row.expired ? " (expired)" : ""}`);
        put(place, [["tools", "Tools"], ["models", "Models"], ["upstreams", "Upstreams"]].map(([name, words]) => h("section", { class: "card" }, h("div", { class: "top" }, h("h2", {}, words), name === "tools" ? h("span", { class: "dim small" }, "What no rule names is denied. A cell shows why.") : null), table(name, rows, keys))));
        filtered();
      } catch (error) {
        if (signal.aborted) return;
        problem.hidden = false;
        say(problem, error.message);
      }
    }
    (async () => {
      try { if (!names.length) await tenantNames(signal); } catch (error) { if (!signal.aborted) trouble(error.message); }
      if (signal.aborted) return;
      tenant.draw();
      chosen = chosen || tenant.field.value;
      if (chosen || tool) load();
    })();
  }

  // ---------------------------------------------------------------- playground

  const ROLES = { decided: "decides", allows_too: "allows it too", overruled: "holds, but is overruled", does_not_hold: "does not hold", would_decide: "would decide, if it counted (shadow)", would_apply: "holds, and changes nothing (shadow)" };
  const HOLDS = { yes: ["yes", "yes"], no: ["no", "no"], open: ["open", "if"], unknown: ["cannot be evaluated", "if"] };

  function playground(main, given, signal) {
    const tenant = tenantField(given.get("tenant") || "", () => loadKeys());
    const key = h("select", {}, h("option", { value: "" }, "No key"));
    const tool = h("input", { value: given.get("tool") || "", required: true, spellcheck: "false", autocomplete: "off", placeholder: "send_email" });
    const place = h("select", {}, [["", "By its arguments"], ["offered", "offered"], ["emitted", "emitted"], ["mcp", "mcp"], ["http", "http"]].map(([value, text]) => h("option", { value }, text)));
    place.value = given.get("place") || "";
    const args = h("textarea", { spellcheck: "false", autocomplete: "off", placeholder: "{ \"to\": [\"ada@example.com\"] }", "aria-describedby": "args-note", oninput: () => check() });
    args.value = pretty(given.get("args") || "");
    const problem = h("p", { class: "problem", role: "alert", id: "args-note" });
    const result = h("section", { class: "card", "aria-live": "polite", "aria-label": "Decision" }, h("p", { class: "empty" }, "Type a call: this shows what the running configuration decides, by which rule, and why."));
    put(main, title("Playground"),
      h("div", { class: "play" },
        h("form", { class: "card", onsubmit: (event) => { event.preventDefault(); explain(); } }, h("div", { class: "body stack" },
          h("div", { class: "two" }, h("label", { class: "field" }, "Tenant", tenant.field), h("label", { class: "field" }, "Key", key)),
          h("div", { class: "two" }, h("label", { class: "field" }, "Tool", tool), h("label", { class: "field" }, "Place", place)),
          h("label", { class: "field" }, "Arguments, as JSON; empty: not known yet", args),
          problem,
          h("div", {}, h("button", { class: "b main", type: "submit" }, "Explain")),
          h("p", { class: "note" }, "Nothing is called and nothing is recorded."))),
        result));

    function pretty(text) {
      try { return text.length < 4000 ? JSON.stringify(JSON.parse(text), null, 2) : text; } catch { return text; }
    }
    function check() {
      let wrong = "";
      if (args.value.trim()) try { JSON.parse(args.value); } catch (error) { wrong = `Not JSON: ${error.message}`; }
      say(problem, wrong);
      if (wrong) args.setAttribute("aria-invalid", "true");
      else args.removeAttribute("aria-invalid");
      return !wrong;
    }
    async function loadKeys() {
      const name = tenant.field.value;
      if (!name) return;
      try {
        const told = await call(`/admin/access${query({ tenant: name })}`, { signal });
        const wanted = key.value || given.get("key") || "";
        const ids = told.access.map((row) => row.key).filter(Boolean);
        put(key, h("option", { value: "" }, "No key"), ids.map((id) => h("option", { value: id }, id)));
        key.value = ids.includes(wanted) ? wanted : "";
      } catch (error) { if (!signal.aborted) trouble(error.message); }
    }

    const condition = (one) => h("li", {},
      tag(...HOLDS[one.holds]), " ", one.when ? ["when ", h("code", { class: "v" }, one.when)] : [h("code", { class: "v" }, one.path), " ", v(one.test)],
      one.when ? null : [" · ", h("span", { class: "dim" }, one.found === "value" ? ["it is ", h("code", { class: "v" }, JSON.stringify(one.value))] : one.found)],
      one.error ? h("div", { class: "dim v" }, one.error) : null,
      (one.reads || []).map((read) => h("div", { class: "dim" }, h("code", { class: "v" }, read.path), read.found === "value" ? [" is ", h("code", { class: "v" }, JSON.stringify(read.value))] : ` is ${read.found}`)));

    async function explain() {
      if (!check()) return args.focus();
      if (!tool.value.trim()) return tool.focus();
      const asked = { tenant: tenant.field.value, tool: tool.value.trim() };
      if (key.value) asked.key = key.value;
      if (place.value) asked.place = place.value;
      // The arguments go as they were typed: digit for digit.
      const typed = args.value.trim();
      const body = typed ? `${JSON.stringify(asked).slice(0, -1)},"args":${typed}}` : JSON.stringify(asked);
      let told;
      try {
        told = await call("/admin/explain", { method: "POST", body, signal });
      } catch (error) {
        if (!signal.aborted) put(result, h("div", { class: "body" }, h("p", { class: "problem" }, error.message)));
        return;
      }
      const narrowed = told.key_narrows && !told.key_narrows.matches ? h("p", {}, "The key is narrowed to ", h("code", { class: "v" }, told.key_narrows.tools.join(", ") || "no tool at all"), `; without that it would be ${told.key_narrows.otherwise}.`) : null;
      put(result,
        h("div", { class: "top verdict" }, h("span", { class: `tag big ${told.decision}` }, told.decision), h("b", { class: "v" }, told.tool), h("span", { class: "dim" }, "by ", told.rule ? h("code", { class: "v" }, told.rule) : "no rule")),
        h("div", { class: "body stack" },
          told.reason ? h("p", { class: "v" }, told.reason) : null, narrowed,
          told.shadow ? h("p", { class: "warning" }, `If shadow rules counted it would be ${told.shadow.decision}, by `, v(told.shadow.rule), ".") : null,
          told.set ? h("div", { class: "two" }, h("div", { class: "stack" }, h("h3", {}, "Arguments as typed"), jsonBlock(told.set.before)), h("div", { class: "stack" }, h("h3", {}, "What would be called"), jsonBlock(told.set.after))) : null,
          h("h2", {}, told.rules.length === 0 ? "No rule matches the name" : told.rules.length === 1 ? "1 rule matches the name" : `${told.rules.length} rules match the name, in the order in which they are tried`),
          told.rules.map((rule) => h("div", { class: `rule ${rule.role === "decided" ? "decided" : ""}` },
            h("div", { class: "t" }, tag(rule.effect), h("code", { class: "v" }, rule.rule), h("span", { class: "dim" }, ROLES[rule.role] || rule.role), rule.limit ? h("span", { class: "dim" }, `limit ${rule.limit}`) : null),
            rule.yaml ? yamlBlock(rule.yaml) : null,
            rule.conditions.length ? h("ul", {}, rule.conditions.map(condition)) : null)),
          told.elsewhere.length ? [h("h2", {}, "In other places it is decided otherwise"), h("ul", { class: "stack" }, told.elsewhere.map((other) => h("li", {}, `${other.place}: `, tag(other.decision), " by ", h("code", { class: "v" }, other.rule || "no rule"))))] : null));
    }
    check();
    (async () => {
      try { if (!names.length) await tenantNames(signal); } catch (error) { if (!signal.aborted) trouble(error.message); }
      if (signal.aborted) return;
      tenant.draw();
      await loadKeys();
      if (given.get("tool") && tenant.field.value && !signal.aborted) explain();
    })();
  }

  // ---------------------------------------------------------------- configuration

  function configuration(main, given, signal) {
    const place = h("div", { class: "stack" });
    const button = h("button", { class: "b", type: "button", onclick: async () => {
      button.disabled = true;
      try {
        signs.status = await call("/admin/reload", { method: "POST", signal });
        tell("The configuration was reloaded.");
      } catch (error) {
        if (!signal.aborted) tell(error.status === 422 ? "It was not reloaded: the last good configuration goes on serving." : error.message);
      }
      button.disabled = false;
      load().catch((error) => { if (!signal.aborted) trouble(error.message); });
    } }, "Reload now");
    put(main, title("Configuration", button), place);
    let before = "";
    async function load() {
      const status = await call("/admin/status", { signal });
      signs.status = status;
      drawState();
      const key = JSON.stringify({ ...status, time: Math.floor(status.time / 30) });
      if (key === before) return;
      before = key;
      const { reload } = status;
      put(place,
        h("section", { class: "card" }, h("div", { class: "top" }, h("h2", {}, "Last reload"), reload.ok ? tag("succeeded", "ok") : tag("failed", "fail"), h("span", { class: "dim" }, `${ago(status.reload_time)} ago`)),
          h("div", { class: "body stack" },
            reload.ok && !reload.problems ? h("p", {}, "What is in the files is what runs.") : null,
            reload.ok && reload.problems ? h("p", { class: "warning v" }, reload.problems) : null,
            reload.ok ? null : h("p", {}, "The files have errors, and the last good configuration goes on serving. Nothing of the change counts until all of it loads."),
            reload.ok ? null : h("pre", { class: "text v", tabindex: "0" }, reload.problems),
            facts([["Running since", h("span", {}, timeOf(status.started), h("span", { class: "dim" }, ` · ${ago(status.started)}`))], ["Loaded", h("span", {}, timeOf(status.config_loaded), h("span", { class: "dim" }, ` · ${ago(status.config_loaded)} ago`))], ["Hash", h("code", { class: "v" }, status.config)], ["Version", status.version]]))),
        h("section", { class: "card" }, h("div", { class: "top" }, h("h2", {}, "What runs")),
          h("div", { class: "body" }, facts([["Tenants", count(status.tenants)], ["Models", count(status.models)], ["Upstreams", h("span", {}, (status.upstreams || []).map((name, at) => [at ? ", " : "", v(name)]))], ["Records", status.records === "ok" ? tag("ok") : tag(status.records, "fail")], ["Draining", status.draining ? tag("yes", "warn") : "no"]]))));
    }
    every(5000, load, signal);
  }

  // ---------------------------------------------------------------- the whole

  let escape = () => false;
  put($("nav"), h("ul", {}, VIEWS.map(([name, words], at) => h("li", {}, h("a", { href: to(name), "data-view": name },
    words, name === "approvals" ? h("span", { class: "count", hidden: true }) : null, h("kbd", { "aria-hidden": "true" }, String(at + 1)))))));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
    const typing = event.target.closest && event.target.closest("input, textarea, select");
    if (event.key === "Escape") {
      if (typing) typing.blur();
      else if (escape()) event.preventDefault();
      return;
    }
    if (typing || !keysOn) return;
    const view = VIEWS[Number(event.key) - 1];
    if (view) location.hash = to(view[0]);
    else if (event.key === "/") { const field = document.querySelector("main input:not([type=checkbox])"); if (field) field.focus(); }
    else if (event.key === "j" || event.key === "k") stepRow(event.key === "j" ? 1 : -1);
    else if (event.key === "?") showKeys();
    else return;
    event.preventDefault();
  });

  window.addEventListener("hashchange", () => {
    go();
    const heading = document.querySelector("main h1");
    if (heading) heading.focus({ preventScroll: true });
  });
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });

  drawState();
  go();
  every(5000, async () => {
    const status = await call("/admin/status");
    signs.status = status;
    drawWaiting(status.waiting || 0);
    drawState();
  }, new AbortController().signal);
})();
