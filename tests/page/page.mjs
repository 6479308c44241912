// The page as a person meets it: hostile names, a strict policy, keys alone, narrow and wide, light and dark.
// Every message on the console, every violation of the policy and every request to elsewhere fails the suite.
import assert from "node:assert/strict";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const { MOCK_URL, GATEWAY_URL, ADMIN_URL, LOCKED_URL, ADMIN_TOKEN, TENANTS, SHOTS, BROWSER } = process.env;
const KEY = (name) => process.env[`KEY_${name}`];
const IMG = "<img/src=x/onerror=document.title='owned'>";
const BOLD = "<b>bold</b>";
const TURNED = "get_\u202Egnp.exe";
const HOSTILE = ["</script><script>alert(1)</script>", "{{7*7}}", "javascript:alert(1)", "<svg/onload=alert(1)>"];

async function chat(key, content, more = {}) {
  const answer = await fetch(`${GATEWAY_URL}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY(key)}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-5-mini", messages: [{ role: "user", content }], ...more }),
  });
  return { status: answer.status, text: await answer.text() };
}
const calls = (name, args = {}) => `!call ${name} ${JSON.stringify(args)}`;

async function traffic() {
  const jobs = [];
  for (let at = 0; at < 12; at += 1) jobs.push(chat("ACME", "What is the weather in Vienna?"));
  for (const name of HOSTILE) jobs.push(chat("ACME", calls(name.replaceAll(" ", "_"), { note: name })));
  jobs.push(chat("ACME", calls(IMG, { path: "<script>alert(2)</script>", mail: "ada@example.com" })));
  jobs.push(chat("ACME", calls(TURNED, { q: "\u202Eabc" })));
  jobs.push(chat("ACME", calls("delete_ticket", { id: 7 })), chat("ACME", calls("get_weather", { city: "Vienna" })));
  jobs.push(chat("ACME", calls("get_salary", { employee: 12345678901234567890n.toString() })));
  jobs.push(chat("ACME", calls("send_email", { to: ["ada@acme.example"], subject: "Quarterly figures" })));
  jobs.push(chat("ACME", calls("send_email", { to: ["eve@evil.example"], subject: "Quarterly figures" })));
  jobs.push(chat("ACME", calls("transfer", { amount: 250, currency: "EUR" })));
  for (const name of ["INITECH", "HOOLI", "HOOLI", "HOOLI", "UMBRELLA"]) jobs.push(chat(name, "Hello"), chat(name, calls("search_docs", { q: "x" })), chat(name, calls("shell", { cmd: "id" })));
  for (let at = 0; at < 9; at += 1) jobs.push(chat("GLOBEX", "Hello"));
  jobs.push(chat("ACME", "Hello", { model: "gpt-9" }));
  await Promise.all(jobs);
}

const browser = await chromium.launch({ executablePath: BROWSER, args: ["--no-sandbox", "--disable-gpu"] });
const problems = [];
const expected = [];
let passed = 0;
const failures = [];

/** A page that fails the suite for whatever it says or asks for that it should not. */
async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(8000);
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  page.on("console", (message) => {
    const text = `${message.text()} ${message.location().url}`;
    if (["error", "warning"].includes(message.type()) && !expected.some((wanted) => text.includes(wanted))) problems.push(`console: ${text}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.stack}`));
  page.on("dialog", (dialog) => { problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !request.url().startsWith("data:")) problems.push(`request to ${request.url()}`);
  });
  await page.goto(url);
  return page;
}

async function check(name, work) {
  try {
    await work();
    const found = problems.splice(0);
    assert.deepEqual(found, [], found.join("\n"));
    passed += 1;
    console.log(`ok   ${name}`);
  } catch (error) {
    failures.push(name);
    console.log(`FAIL ${name}\n     ${String(error.message).split("\n").join("\n     ")}`);
  }
}

const view = async (page, name, given = "") => {
  await page.evaluate((hash) => { location.hash = hash; }, `#/${name === "overview" ? "" : name}${given}`);
  await page.waitForFunction((wanted) => document.title.toLowerCase().startsWith(wanted), name);
};
const VIEWS = ["overview", "records", "approvals", "access", "playground", "configuration"];
const settled = (page) => page.waitForLoadState("networkidle").catch(() => {});
const noScroll = async (page, where) => {
  const { wide, inner } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, inner: window.innerWidth }));
  assert.ok(wide <= inner, `${where}: ${wide} px wide in ${inner} px`);
};

await traffic();
const held = chat("ACME", calls("refund", { invoice: "R-2207", amount: 240, to: "grace@example.com" }), { model: "gpt-5" });
const heldToo = chat("ACME", calls(BOLD, { why: "<script>alert(3)</script>" }), { model: "gpt-5" });

const page = await open(ADMIN_URL);

await check("the page comes alone, with a strict policy", async () => {
  const answer = await fetch(ADMIN_URL);
  const policy = answer.headers.get("content-security-policy");
  assert.match(policy, /^default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+'; connect-src 'self'; /);
  assert.ok(!policy.includes("unsafe"), policy);
  const text = await answer.text();
  for (const secret of ["acme", "globex", KEY("ACME")]) assert.ok(!text.includes(secret), "the page itself knows nothing of tenants");
  // What would have been injected is stopped by the policy, whoever injects it.
  expected.push("TrustedScript", "TrustedHTML", "policy violated");
  const refused = await page.evaluate(() => [
    () => { const script = document.createElement("script"); script.textContent = "document.title='owned'"; document.head.append(script); },
    () => { document.body["inner" + "HTML"] = "<img src=x onerror=document.title='owned'>"; },
    () => setTimeout("document.title='owned'"),
  ].map((work) => { try { work(); return "done"; } catch (error) { return error.message; } }));
  assert.ok(refused.every((message) => message.includes("requires 'Trusted")), refused.join("\n"));
  await page.waitForTimeout(100);
  problems.length = 0;
  expected.length = 0;
  assert.notEqual(await page.title(), "owned");
});

await check("a foreign Host gets no page, a foreign Origin decides nothing", async () => {
  const { request } = await import("node:http");
  const status = (path, method, headers) => new Promise((done, failed) => {
    const sent = request(`${ADMIN_URL}${path}`, { method, headers }, (answer) => { answer.resume(); done(answer.statusCode); });
    sent.on("error", failed);
    sent.end();
  });
  assert.equal(await status("/", "GET", { host: "evil.example" }), 403);
  assert.equal(await status("/", "GET", {}), 200);
  const id = (await (await fetch(`${ADMIN_URL}/admin/approvals`)).json())[0].id;
  assert.equal(await status(`/admin/approvals/${id}`, "POST", { origin: "http://localhost:1" }), 403);
  assert.equal(await status("/admin/explain", "POST", { origin: "https://evil.example" }), 403);
});

await check("overview: figures, plots and every tenant", async () => {
  await page.waitForSelector("tbody tr:nth-child(5)");
  assert.deepEqual((await page.locator("tbody tr a.plain").allTextContents()).sort(), ["acme", "globex", "hooli", "initech", "umbrella"]);
  const requests = page.locator(".figure").first();
  await assert.doesNotReject(page.waitForFunction(() => Number(document.querySelector(".figure dd span").textContent.replace(/\D/g, "")) > 30));
  assert.match(await requests.textContent(), /\/s now/);
  await page.getByRole("button", { name: "1 h" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".plot .bars rect").length === 180);
  await page.waitForFunction(() => [...document.querySelectorAll(".plot svg")].every((plot) => plot.getAttribute("aria-label").includes("the last hour")));
  const tall = await page.locator(".plot .bars rect").evaluateAll((bars) => bars.filter((bar) => Number(bar.getAttribute("height")) > 0).length);
  assert.ok(tall >= 2, "something is plotted");
  await page.getByRole("button", { name: "Tenant" }).first().click();
  assert.equal(await page.locator("tbody tr a.plain").first().textContent(), "acme");
  await page.getByLabel("Filter tenants").fill("hoo");
  assert.equal(await page.locator("tbody tr").count(), 1);
  await page.getByLabel("Filter tenants").fill("");
  await page.getByLabel("Tenant", { exact: true }).selectOption("globex");
  await page.waitForFunction(() => document.querySelector(".figure dd span").textContent === "9");
});

await check("records: hostile names are text, and nothing of a secret is shown", async () => {
  await view(page, "records", "?tenant=acme&kind=audit");
  await page.waitForSelector("tbody tr");
  const text = await page.locator("tbody").innerText();
  assert.ok(text.includes(IMG.slice(0, 12)), text.slice(0, 400));
  assert.ok(text.includes("get_\\u{202e}gnp.exe"), "a mark that turns a text is shown, not obeyed");
  assert.equal(await page.locator("main img, main script, main b b, main svg[onload]").count(), 0);
  assert.ok(!text.includes("ada@example.com"), "redacted");
  await page.getByLabel("Tool").fill("<img*");
  await page.getByLabel("Tool").press("Enter");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  await page.locator("tbody tr button").click();
  await page.waitForSelector(".detail .yaml .n");
  const detail = await page.locator(".detail").innerText();
  for (const part of ["deny", "Deletions go through support.", "tenants/acme.yaml:19", "onerror=document.title='owned'", "<script>alert(2)</script>", "[EMAIL_ADDRESS:"]) assert.ok(detail.includes(part), `${part} in ${detail}`);
  assert.equal(await page.locator(".detail .yaml .n").first().textContent(), "19");
  assert.notEqual(await page.title(), "owned");
  await page.keyboard.press("Escape");
  await page.waitForSelector(".detail", { state: "hidden" });
  assert.equal(await page.evaluate(() => document.activeElement.closest("tr") !== null), true, "the focus goes back to the row");
});

await check("records: filters, one request with all that belongs to it, and live", async () => {
  await view(page, "records", "?tenant=globex&kind=log&status=4xx");
  await page.waitForFunction(() => [...document.querySelectorAll("tbody .c-out .tag")].length >= 3);
  assert.deepEqual([...new Set(await page.locator("tbody .c-out .tag").allTextContents())], ["429"]);
  await view(page, "records", "?tenant=acme&tool=delete_*");
  await page.waitForSelector("tbody tr");
  await page.locator("tbody tr button").first().click();
  await page.getByRole("link", { name: "all of it" }).click();
  await page.waitForFunction(() => location.hash.includes("request=") && document.querySelectorAll("tbody tr").length >= 2);
  await view(page, "records", "?tenant=umbrella");
  await page.waitForSelector("tbody tr");
  const before = await page.locator("tbody tr").count();
  await chat("UMBRELLA", calls("shell", { cmd: "live" }));
  await page.waitForFunction((before) => document.querySelectorAll("tbody tr").length > before, before);
  // While a record is open nothing moves: what is new is told of.
  await page.locator("tbody tr button").last().click();
  await page.waitForSelector(".detail .facts");
  const at = await page.locator("tbody tr").count();
  await chat("UMBRELLA", "Hello again");
  await page.waitForSelector(".head button.main:not([hidden])");
  assert.equal(await page.locator("tbody tr").count(), at);
});

await check("approvals: approved by a name, denied, and told to those who wait", async () => {
  await view(page, "approvals");
  await page.waitForSelector("article.call:nth-of-type(2)");
  const refund = page.locator("article.call", { hasText: "refund" }).filter({ hasText: "R-2207" });
  const bold = page.locator("article.call", { hasText: "<b>bold</b>" });
  await refund.locator(".yaml .n").first().waitFor();
  assert.equal(await page.locator("article b b").count(), 0);
  assert.ok((await bold.innerText()).includes("<script>alert(3)</script>"));
  await refund.getByRole("button", { name: "Approve once" }).click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "by", "nobody decides without a name");
  await page.getByLabel("Deciding as").fill("<i>ada</i>");
  const top = await bold.boundingBox();
  await refund.getByRole("button", { name: "Approve once" }).click();
  await refund.getByText("approved").waitFor();
  const answer = await held;
  assert.ok(answer.text.includes("refund") && answer.text.includes("R-2207"), answer.text);
  await page.waitForTimeout(2600);
  assert.deepEqual(await bold.boundingBox(), top, "nothing moves under a hand that decides");
  await bold.getByRole("button", { name: "Deny" }).click();
  await bold.getByText("denied").waitFor();
  assert.ok(!(await heldToo).text.includes("alert(3)"));
  await view(page, "records", "?tenant=acme&tool=refund");
  await page.waitForFunction(() => document.querySelector("tbody").innerText.includes("by <i>ada</i>"));
  assert.equal(await page.locator("tbody i").count(), 0);
});

await check("access: the matrix, why, and who can", async () => {
  await view(page, "access", "?tenant=acme");
  await page.waitForSelector("table.matrix");
  const cell = page.getByRole("button", { name: /^delete_\*, key prod: no/ });
  await cell.click();
  await page.locator("section[aria-label=Why] .yaml .n").first().waitFor();
  await page.getByLabel("Or: who can call this tool").fill("search_docs");
  await page.getByLabel("Or: who can call this tool").press("Enter");
  await page.waitForFunction(() => document.querySelectorAll("tr.row").length === 4);
});

await check("playground: decisions with their rules, digits as typed, secrets hidden", async () => {
  await view(page, "playground");
  await page.waitForFunction(() => document.querySelectorAll("main form select")[1].options.length === 3);
  await page.getByLabel("Tool").fill("send_email");
  await page.getByLabel(/^Arguments/).fill('{"to":["eve@evil.example"]}');
  await page.getByRole("button", { name: "Explain" }).click();
  await page.waitForSelector(".tag.big.deny");
  await page.getByLabel(/^Arguments/).fill('{"to":["ada@acme.example"], "n": 12345678901234567890}');
  await page.getByRole("button", { name: "Explain" }).click();
  await page.waitForSelector(".tag.big.allow");
  await page.getByLabel("Tool").fill("fetch");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.waitForFunction(() => document.querySelector(".rule .yaml")?.innerText.includes("region"));
  const yaml = await page.locator(".rule .yaml").innerText();
  assert.ok(!yaml.includes("page-set-secret"), yaml);
  await page.getByLabel("Key").selectOption("batch");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("The key is narrowed to get_*").waitFor();
  await page.getByLabel(/^Arguments/).fill("{not json");
  await page.getByText("Not JSON").waitFor();
  await page.getByLabel(/^Arguments/).fill("");
  await page.getByLabel("Tool").fill(IMG);
  await page.getByLabel("Key").selectOption("");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.waitForSelector(".tag.big.deny");
  assert.equal(await page.locator("main img").count(), 0);
});

await check("configuration: an error is told, with its place, and the gateway goes on", async () => {
  await view(page, "configuration");
  await page.getByText("What is in the files is what runs.").waitFor();
  const path = `${TENANTS}umbrella.yaml`;
  const before = await readFile(path, "utf8");
  await appendFile(path, "modles: []\n");
  expected.push("422", "/admin/reload");
  await page.getByRole("button", { name: "Reload now" }).click();
  await page.getByText("umbrella.yaml").waitFor();
  assert.ok((await page.locator("main").innerText()).includes("did you mean `models`?"));
  if (SHOTS) await picture(page, "configuration-failed");
  await writeFile(path, before);
  await page.getByRole("button", { name: "Reload now" }).click();
  await page.getByText("What is in the files is what runs.").waitFor();
  expected.length = 0;
});

await check("keys alone: every view, a row, a record and back", async () => {
  await view(page, "overview");
  for (const [at, name] of VIEWS.entries()) {
    await page.keyboard.press(String(at + 1));
    await page.waitForFunction((name) => document.title.toLowerCase().startsWith(name), name);
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1", "the heading has the focus");
  }
  await page.keyboard.press("2");
  await page.waitForSelector("tbody tr button");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  const second = await page.evaluate(() => [...document.querySelectorAll("tbody tr button")].indexOf(document.activeElement));
  assert.equal(second, 1);
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(ring, "solid", "one sees where one is");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".detail .facts");
  await page.keyboard.press("Escape");
  await page.waitForSelector(".detail", { state: "hidden" });
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "INPUT");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  // By Tab: from the top through all of the navigation, each stop seen.
  await page.goto(`${ADMIN_URL}/#/playground`);
  await page.reload();
  await page.waitForSelector("main form");
  const stops = [];
  for (let at = 0; at < 14; at += 1) {
    await page.keyboard.press("Tab");
    stops.push(await page.evaluate(() => {
      const box = document.activeElement.getBoundingClientRect();
      return { name: document.activeElement.textContent.trim().slice(0, 24) || document.activeElement.tagName, seen: box.width > 0 && box.right > 0 && getComputedStyle(document.activeElement).outlineStyle !== "none" };
    }));
  }
  assert.ok(stops.every((stop) => stop.seen), JSON.stringify(stops));
  assert.match(stops.map((stop) => stop.name).join("|"), /^Skip to the content\|Tollgate\|Overview.*\|Records.*\|Approvals.*\|Access.*\|Playground.*\|Configuration/);
});

await check("behind a token: asked for once, refused when wrong, gone with the tab", async () => {
  expected.push("401", "/admin/");
  const locked = await open(LOCKED_URL);
  const field = locked.locator("#token");
  await field.fill("wrong");
  await field.press("Enter");
  await locked.getByText("was not accepted").waitFor();
  await field.fill(ADMIN_TOKEN);
  await field.press("Enter");
  await locked.waitForSelector("tbody tr:nth-child(5)");
  await locked.reload();
  await locked.waitForSelector("tbody tr:nth-child(5)");
  assert.equal(await locked.evaluate(() => JSON.stringify(localStorage) + document.cookie), "{}");
  const other = await open(LOCKED_URL);
  await other.locator("#token").waitFor();
  await locked.context().close();
  await other.context().close();
  expected.length = 0;
});

const SHAPES = [["wide", { width: 1600, height: 1000 }], ["desk", { width: 1280, height: 860 }], ["phone", { width: 390, height: 844 }]];
async function picture(page, name) {
  await mkdir(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: name.startsWith("phone") });
}

for (const scheme of ["light", "dark"]) {
  for (const [shape, viewport] of SHAPES) {
    await check(`${scheme}, ${viewport.width} px: every view fits, is readable and stays where it is`, async () => {
      const waits = chat("ACME", calls("refund", { invoice: `R-${shape}-${scheme}`, amount: 99, account: "CH93 0076 2011 6238 5295 7" }), { model: "gpt-5" });
      const looked = await open(ADMIN_URL, { viewport, colorScheme: scheme });
      const grounds = await looked.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
      assert.equal(grounds[0] > 128, scheme === "light", String(grounds));
      const jumps = [];
      await looked.exposeFunction("jumped", (value) => jumps.push(value));
      for (const name of VIEWS) {
        await view(looked, name, { records: "?tenant=acme", access: "?tenant=acme", playground: "?tenant=acme&tool=transfer&key=prod&args=%7B%22amount%22%3A250%2C%22currency%22%3A%22EUR%22%7D" }[name] || "");
        await settled(looked);
        await looked.waitForTimeout(150);
        await noScroll(looked, name);
        await readable(looked, name);
        if (name === "overview" && scheme === "light") {
          // Once it is there, what comes in moves nothing.
          await looked.evaluate(() => new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.jumped(entry.value))).observe({ type: "layout-shift" }));
          await chat("INITECH", "Hello");
          await looked.waitForTimeout(5400);
          assert.deepEqual(jumps, [], "the layout jumps");
        }
        if (SHOTS) await picture(looked, `${shape}-${scheme}-${name}`);
        if (name === "records") {
          await looked.locator("tbody tr", { has: looked.locator(".tag.deny") }).filter({ hasText: "delete_ticket" }).locator("button").first().click();
          await looked.waitForSelector(".detail .yaml .n");
          await noScroll(looked, "one record");
          await readable(looked, "one record");
          if (SHOTS) await picture(looked, `${shape}-${scheme}-record`);
          await looked.keyboard.press("Escape");
        }
      }
      const waiting = await (await fetch(`${ADMIN_URL}/admin/approvals`)).json();
      for (const { id } of waiting) await fetch(`${ADMIN_URL}/admin/approvals/${id}`, { method: "POST", body: JSON.stringify({ approve: false, by: "the suite" }) });
      await waits;
      await looked.context().close();
    });
  }
}

for (const scheme of ["light", "dark"]) {
  for (const width of [390, 768, 1024, 1280, 1366, 1440, 1920]) {
    await check(`${scheme}, ${width} px: no figure is cut, and a record that is opened moves no row`, async () => {
      const looked = await open(ADMIN_URL, { viewport: { width, height: 860 }, colorScheme: scheme });
      // Figures of a busy gateway.
      await looked.route("**/admin/tenants?*", async (route) => {
        const answer = await route.fetch();
        const told = await answer.json();
        const busy = (row) => Object.assign(row, { per_second: 1234.5, requests: 9876543, denied: 98765, input_tokens: 292600000, output_tokens: 289200000, cost_usd: 98765.43, p99_ms: 118000, in_flight: 1234, queued: 4321 });
        [told.all, ...told.tenants].forEach(busy);
        await route.fulfill({ response: answer, json: told });
      });
      await view(looked, "overview");
      await looked.reload();
      await looked.waitForFunction(() => document.querySelector(".figure .under").textContent.includes("1,23"));
      await settled(looked);
      await uncut(looked, "overview");
      await noScroll(looked, "overview");
      if (SHOTS) await picture(looked, `${width}-${scheme}-overview`);
      await view(looked, "records", "?tenant=acme&kind=audit&live=no");
      await looked.waitForSelector("tbody tr:nth-child(9)");
      const heights = () => looked.locator("tbody tr").evaluateAll((rows) => rows.map((row) => Math.round(row.getBoundingClientRect().height)));
      const before = await heights();
      if (width > 860) assert.equal(new Set(before).size, 1, `rows are not alike: ${before}`);
      await looked.locator("tbody tr button").first().click();
      await looked.waitForSelector(".detail .facts");
      assert.deepEqual(await heights(), before, "rows grow where a record is opened");
      // Where the rule stands beside the record, its line is told; time and outcome are whole in any case.
      const unseen = await looked.locator(".records .place span:last-child, .records .c-time, .records .c-out, .records .c-out *").evaluateAll((all) => all.filter((element) => {
        const cell = element.closest("td, th"), box = element.getBoundingClientRect();
        return cell.scrollWidth > cell.clientWidth || box.right > cell.getBoundingClientRect().right + 0.5;
      }).map((element) => element.textContent));
      assert.deepEqual(unseen, [], "what a row is about is cut");
      if (SHOTS) await picture(looked, `${width}-${scheme}-record-open`);
      await looked.context().close();
    });
  }
}

/** No text among the figures is cut: none is wider than what holds it. */
async function uncut(page, where) {
  const cut = await page.evaluate(() => {
    const all = document.querySelectorAll(".figures, .figures *, .plot figcaption, .plot figcaption *, td.num, td.num *, .meter, .meter *");
    return [...all].filter((element) => element.checkVisibility() && element.clientWidth > 0 && element.scrollWidth > element.clientWidth)
      .map((element) => `${element.tagName}.${element.className}: ${element.textContent} (${element.scrollWidth} px in ${element.clientWidth})`);
  });
  assert.deepEqual(cut, [], `${where}: figures are cut`);
}

/** Every text has a contrast of 4.5 to 1 with what is behind it (3 to 1 where it is large). */
async function readable(page, where) {
  const poor = await page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (colour) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      return { rgb: [r, g, b], a: a / 255 };
    };
    const light = (parts) => {
      const [r, g, b] = parts.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const found = rgb(getComputedStyle(at).backgroundColor);
        if (found.a > 0.9) return found.rgb;
      }
      return [255, 255, 255];
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const poor = new Set();
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.textContent.trim() || ["SCRIPT", "STYLE", "NOSCRIPT", "OPTION", "text"].includes(element.tagName) || !element.checkVisibility() || element.closest(":disabled")) continue;
      const style = getComputedStyle(element);
      const [a, b] = [light(rgb(style.color).rgb), light(behind(element))].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < (parseFloat(style.fontSize) >= 18.66 ? 3 : 4.5)) poor.add(`${ratio.toFixed(2)} ${element.tagName}.${element.className}: ${walker.currentNode.textContent.trim().slice(0, 30)}`);
    }
    return [...poor];
  });
  assert.deepEqual(poor, [], `${where} is hard to read`);
}

await browser.close();
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length ? 1 : 0);
