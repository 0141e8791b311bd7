// What scripts/test-browser runs: people with browsers on the demo site.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import zlib from "node:zlib";

const place = path.resolve(process.argv[2]);
const require = createRequire(place + "/");
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const pictures = path.join(place, "pictures");
fs.rmSync(pictures, { recursive: true, force: true });
fs.mkdirSync(pictures, { recursive: true });

const PASSWORD = "correct horse battery";

// ---- the server ---------------------------------------------------------------------------------

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "httpyserver-browser-"));
const configure = (port) => fs.writeFileSync(path.join(folder, "web.conf"), `
[server]
listen = "http://127.0.0.1:${port}"
[log]
access = "access.log"
[[host]]
names = ["demo.localhost"]
  [[host.route]]
  path = "/"
  handler = "moviequotes"
  options = { data = "data", bcrypt_cost = 10 }
`);

let server;
let said = "";

/** Starts the server, and returns its port. */
function start() {
  server = spawn(process.env.HTTPYSERVER, ["-c", path.join(folder, "web.conf")], { stdio: ["ignore", "pipe", "pipe"] });
  server.stderr.on("data", (text) => (said += text));
  return new Promise((ready, failed) => {
    let banner = "";
    server.stdout.on("data", (text) => {
      banner += text;
      const found = /http:\/\/[^:/\s]+:(\d+)/.exec(banner);
      if (found && /^ready$/m.test(banner)) ready(Number(found[1]));
    });
    server.on("error", failed);
    server.on("exit", (code) => failed(new Error(`the server ended with ${code}: ${said}`)));
  });
}

/** Stops it, and returns its exit code. */
async function stop() {
  if (server.exitCode !== null) return server.exitCode;
  const ended = new Promise((done) => server.on("exit", done));
  server.kill("SIGTERM");
  // What streams has no end of its own: a second signal does not wait for it.
  const again = setTimeout(() => server.kill("SIGTERM"), 3000);
  const force = setTimeout(() => server.kill("SIGKILL"), 6000);
  const code = await ended;
  clearTimeout(again);
  clearTimeout(force);
  return code;
}

configure(0);
const port = await start();
configure(port);
const base = `http://demo.localhost:${port}`;

// ---- tools --------------------------------------------------------------------------------------

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  // The sandbox needs namespaces that a container or root may not have; only our own pages are shown.
  args: ["--no-sandbox"],
});

const complaints = [];

/** A browser of its own; what its console complains of fails the test. */
async function someone(options = {}, expected = []) {
  const context = await browser.newContext({ baseURL: base, ...options });
  context.setDefaultTimeout(20_000);
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective}`));
  });
  const page = await context.newPage();
  const complain = (text) => {
    if (!expected.some((known) => text.includes(known))) complaints.push(`${page.url()}: ${text}`);
  };
  page.on("console", (message) => message.type() === "error" && complain(message.text()));
  page.on("pageerror", (error) => complain(String(error)));
  page.on("dialog", (dialog) => complain(`a dialog: ${dialog.message()}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.host !== `demo.localhost:${port}` && url.protocol.startsWith("http")) complain(`asked ${url}`);
  });
  return page;
}

/** A PNG of one colour that goes from left to right. */
function png(width, height) {
  const rows = Buffer.alloc((width * 3 + 1) * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = y * (width * 3 + 1) + 1 + x * 3;
      rows[at] = 90 + (120 * y) / height;
      rows[at + 1] = 60 + (100 * x) / width;
      rows[at + 2] = 130 - (90 * y) / height;
    }
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(zlib.crc32(body), body.length + 4);
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", zlib.deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

/** The pixels of a PNG as Chromium writes it: 8 bits, RGB or RGBA, not interlaced. */
function pixels(bytes) {
  const width = bytes.readUInt32BE(16);
  const height = bytes.readUInt32BE(20);
  const channels = { 2: 3, 6: 4 }[bytes[25]];
  assert.equal(bytes[24], 8);
  const parts = [];
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    if (bytes.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  const raw = zlib.inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  const out = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const left = x < channels ? 0 : out[y * stride + x - channels];
      const up = y ? out[(y - 1) * stride + x] : 0;
      const corner = x < channels || !y ? 0 : out[(y - 1) * stride + x - channels];
      const guess = left + up - corner;
      const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
      const paeth = a <= b && a <= c ? left : b <= c ? up : corner;
      const add = [0, left, up, (left + up) >> 1, paeth][filter];
      out[y * stride + x] = raw[y * (stride + 1) + 1 + x] + add;
    }
  }
  return { width, height, channels, data: out };
}

/** Takes a picture of the page, and looks at it: something is on it, in the scheme asked for. */
async function look(page, name, scheme) {
  const file = path.join(pictures, `${name}.png`);
  const { width, height, channels, data } = pixels(await page.screenshot({ path: file, fullPage: true }));
  const colours = new Set();
  let light = 0;
  for (let at = 0; at < data.length; at += channels) {
    light += 0.2126 * data[at] + 0.7152 * data[at + 1] + 0.0722 * data[at + 2];
    colours.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  }
  light /= width * height;
  assert(colours.size > 40, `${name} has ${colours.size} colours: is it blank?`);
  if (scheme === "dark") assert(light < 90, `${name} is not dark: ${light}`);
  else assert(light > 150, `${name} is not light: ${light}`);
  return file;
}

/** Accessibility as axe sees it, and nothing that has to be scrolled sideways. */
async function inspect(page, name) {
  // Through the debugger, so that the page's policy may stay as strict as it is.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  const told = violations.map((v) => `${v.id}: ${v.nodes.map((node) => node.target.join(" ")).join(", ")}`);
  assert.deepEqual(told, [], `${name} is not accessible`);
  const [whole, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert(whole <= seen, `${name} is ${whole} wide in a window of ${seen}`);
}

/** Asks without a browser, on a socket of its own. */
function ask(method, path, headers = {}, body = "") {
  return new Promise((answered, failed) => {
    const options = { host: "127.0.0.1", port, method, path, headers: { Host: `demo.localhost:${port}`, ...headers } };
    http.request(options, (answer) => answer.resume().on("end", () => answered(answer.statusCode))).on("error", failed).end(body);
  });
}

const steps = [];
async function step(name, work) {
  const begin = performance.now();
  await work();
  steps.push(name);
  console.log(`  ${name} (${Math.round(performance.now() - begin)} ms)`);
}

async function register(page, name) {
  await page.goto("/register?next=/quotes/new");
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Register" }).click();
  await page.waitForURL("**/quotes/new");
}

async function login(page, name, password) {
  await page.goto("/login");
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

async function fill(page, fields) {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
}

const still = { name: "still.png", mimeType: "image/png", buffer: png(640, 360) };

// ---- what people do -----------------------------------------------------------------------------

const anna = await someone({ viewport: { width: 1200, height: 850 }, colorScheme: "light" }, ["422"]);
const watcher = await someone({ viewport: { width: 1200, height: 850 }, colorScheme: "dark" }, ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"]);
let address;

async function flow() {
  await step("a stranger sees the list", async () => {
    await anna.goto("/");
    assert.equal(await anna.locator("article.quote").count(), 12);
    assert.deepEqual(await anna.context().cookies(), [], "looking needs no cookie");
    await anna.keyboard.press("Tab");
    assert.equal(await anna.evaluate(() => document.activeElement.textContent), "Skip to the content");
    await anna.getByRole("link", { name: "Older" }).click();
    assert.equal(await anna.locator("article.quote").count(), 2);
  });

  await step("adding needs a login, registering leads on", async () => {
    await anna.goto("/quotes/new");
    assert(anna.url().includes("/login?next="), anna.url());
    await register(anna, "anna");
    assert.equal(await anna.getByRole("status").first().textContent(), "Welcome, anna.");
    const [cookie] = await anna.context().cookies();
    assert(cookie.httpOnly && cookie.sameSite === "Lax", "the cookie is out of reach for scripts");
  });

  await step("another browser watches", async () => {
    await watcher.goto("/live");
    await watcher.getByText("Listening.").waitFor();
  });

  await step("what is wrong with a quote is told at its field", async () => {
    await fill(anna, { Film: "The Third Man", Year: "1049" });
    await anna.getByLabel("The line").fill("   ");
    await anna.getByRole("button", { name: "Add it" }).click();
    await anna.getByRole("alert").waitFor();
    assert.equal(await anna.getByLabel("Film", { exact: true }).inputValue(), "The Third Man", "nothing is lost");
    assert.equal(await anna.getByLabel("Year", { exact: true }).getAttribute("aria-invalid"), "true");
    await inspect(anna, "form with mistakes");
    await look(anna, "form-mistakes-light");
  });

  await step("a quote with a picture is added, and seen elsewhere at once", async () => {
    await fill(anna, { Year: "1949", "Who says it": "Harry Lime", "What is in the picture": "A big wheel in the evening" });
    await anna.getByLabel("The line").fill("In Italy, for thirty years …\nThe cuckoo clock.");
    await anna.getByLabel("A picture, if you like").setInputFiles(still);
    await anna.getByRole("button", { name: "Add it" }).click();
    await anna.waitForURL(/\/quotes\/\d+$/);
    address = new URL(anna.url()).pathname;
    const image = anna.getByRole("img", { name: "A big wheel in the evening" });
    assert.equal(await image.evaluate(async (img) => { await img.decode(); return img.naturalWidth; }), 640);
    const card = watcher.locator("article.quote", { hasText: "The cuckoo clock." });
    await card.waitFor();
    assert.equal(await watcher.locator("article.quote").first().getAttribute("id"), await card.getAttribute("id"));
    assert((await watcher.locator("#news").textContent()).includes("cuckoo"), "it is announced");
    assert.equal(await watcher.locator("article.quote").count(), 15);
    await look(anna, "quote-light");
    await look(watcher, "live-dark", "dark");
    await inspect(watcher, "live");
  });

  await step("it is found", async () => {
    await anna.goto("/");
    await anna.getByLabel("Search for words, films or characters").fill("cuck lime");
    await anna.keyboard.press("Enter");
    await anna.getByRole("heading", { name: "One quote" }).waitFor();
    await anna.getByLabel("Search for words, films or characters").fill("\"'<b>zzz");
    await anna.getByRole("button", { name: "Search" }).click();
    await anna.getByRole("heading", { name: "Nothing found" }).waitFor();
    await look(anna, "nothing-found-light");
  });

  await step("it is changed, and changes elsewhere", async () => {
    await anna.goto(address);
    await anna.getByRole("link", { name: "Edit" }).click();
    await look(anna, "edit-light");
    await inspect(anna, "edit");
    await anna.getByLabel("The line").fill("<script>alert(1)</script><img src=x onerror=alert(2)>");
    await anna.getByLabel("Remove this picture").check();
    await anna.getByRole("button", { name: "Save" }).click();
    await anna.getByText("Saved.").waitFor();
    assert.equal(await anna.locator("main img").count(), 0);
    await watcher.getByText("<script>alert(1)</script>").waitFor();
    assert.equal(await watcher.locator("article script, article img[src=x]").count(), 0);
  });

  await step("another user may not touch it", async () => {
    const ben = await someone({}, ["403"]);
    await register(ben, "ben");
    await ben.goto(address);
    assert.equal(await ben.getByRole("link", { name: "Edit" }).count(), 0);
    for (const way of ["edit", "delete"]) assert.equal((await ben.goto(`${address}/${way}`)).status(), 403);
    await ben.context().close();
  });

  await step("a form without its token is refused", async () => {
    const token = await anna.locator("input[name=csrf_token]").first().inputValue();
    assert(token.length >= 20);
    const cookies = (await anna.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
    const form = { "Content-Type": "application/x-www-form-urlencoded", Cookie: cookies };
    const send = (body) => ask("POST", `${address}/delete`, form, body);
    for (const wrong of ["", "csrf_token=", `csrf_token=${"x".repeat(token.length)}`]) assert.equal(await send(wrong), 403);
    assert.equal(await ask("GET", address), 200, "it is still there");
  });

  await step("it is deleted, and goes elsewhere", async () => {
    await anna.goto(address);
    await anna.getByRole("link", { name: "Delete" }).click();
    await inspect(anna, "delete");
    await look(anna, "delete-light");
    await anna.getByRole("button", { name: "Delete it" }).click();
    await anna.getByText("Deleted.").waitFor();
    await watcher.getByText("<script>").waitFor({ state: "detached" });
    assert.equal(await ask("GET", address), 404);
  });

  await step("a token works in place of a password, over a restart, until it is revoked", async () => {
    await anna.goto("/account");
    await anna.getByRole("button", { name: "Make a token" }).click();
    const token = await anna.locator("#token").textContent();
    await inspect(anna, "account");
    await look(anna, "account-light");
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    const add = (text) => ask("POST", "/api/quotes", headers, JSON.stringify({ text, film: "WarGames", year: 1983 }));
    assert.equal(await add("From a program."), 201);
    await watcher.getByRole("link", { name: "From a program." }).waitFor();

    // A restart: who watches comes again, and misses nothing.
    assert.equal(await stop(), 0);
    await watcher.getByText("The line is cut").waitFor();
    await start();
    assert.equal(await add("While you were away."), 201);
    await watcher.getByText("Listening.").waitFor();
    await watcher.getByRole("link", { name: "While you were away." }).waitFor();
    assert.equal(await watcher.locator("article.quote").count(), 16);
    await anna.getByRole("button", { name: "Revoke it" }).click();
    await anna.getByText("The token is revoked.").waitFor();
    assert.equal(await add("Never."), 401);
  });

  await step("logged out is logged out, also for a copied cookie", async () => {
    const copy = await anna.context().cookies();
    await anna.getByRole("button", { name: "Log out" }).click();
    await anna.getByText("You are logged out.").waitFor();
    await anna.context().addCookies(copy);
    await anna.goto("/quotes/new");
    assert(anna.url().includes("/login"), anna.url());
    await anna.context().clearCookies();
  });

  await step("a wrong password is refused, the right one is not", async () => {
    const page = await someone({}, ["403"]);
    for (const [name, password] of [["anna", "correct horse"], ["nobody", PASSWORD]]) {
      await login(page, name, password);
      await page.getByText("The name or the password is wrong.").waitFor();
    }
    await inspect(page, "login with a mistake");
    await login(page, "ANNA", PASSWORD);
    await page.getByText("Welcome back, anna.").waitFor();
    await page.context().close();
  });

  await step("all of it works without JavaScript", async () => {
    const plain = await someone({ javaScriptEnabled: false, colorScheme: "dark", viewport: { width: 1000, height: 800 } });
    await login(plain, "anna", PASSWORD);
    await plain.goto("/quotes/new");
    await fill(plain, { Film: "Le Jour se lève", "What is in the picture": "A window" });
    await plain.getByLabel("The line").fill("C'est fini, il n'y a plus de François.");
    await plain.getByLabel("A picture, if you like").setInputFiles(still);
    await plain.getByRole("button", { name: "Add it" }).click();
    await plain.getByText("Added. Thank you!").waitFor();
    const here = new URL(plain.url()).pathname;
    await plain.goto("/?q=leve");
    await plain.getByText("il n'y a plus de").waitFor();
    await plain.goto("/live");
    await plain.getByText("plus de François").waitFor();
    await plain.getByRole("link", { name: "Look again" }).click();
    await look(plain, "live-without-script-dark", "dark");
    await plain.goto(`${here}/edit`);
    await plain.getByLabel("The line").fill("C'est fini.");
    await plain.getByRole("button", { name: "Save" }).click();
    await plain.getByText("Saved.").waitFor();
    await plain.goto(`${here}/delete`);
    await plain.getByRole("button", { name: "Delete it" }).click();
    await plain.getByText("Deleted.").waitFor();
    await plain.getByRole("button", { name: "Log out" }).click();
    await plain.getByText("You are logged out.").waitFor();
    await plain.context().close();
  });

  await step("every page in every light, on a phone too", async () => {
    const page = await someone();
    await login(page, "anna", PASSWORD);
    await page.goto("/quotes/new");
    await fill(page, { Film: "Nosferatu", Year: "1922", "Who says it": "Count Orlok", "What is in the picture": "A ship at night" });
    await page.getByLabel("The line").fill("Is this your wife? What a lovely throat.");
    await page.getByLabel("A picture, if you like").setInputFiles(still);
    await page.getByRole("button", { name: "Add it" }).click();
    await page.getByText("Added. Thank you!").waitFor();
    const withPicture = new URL(page.url()).pathname;
    const state = await page.context().storageState();
    await page.context().close();
    const windows = { wide: { viewport: { width: 1280, height: 850 } }, phone: { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true } };
    const pages = { list: "/", quote: withPicture, line: "/quotes/3", new: "/quotes/new", edit: `${withPicture}/edit`, login: "/login", register: "/register", live: "/live", account: "/account", api: "/api", missing: "/nowhere" };
    for (const [size, options] of Object.entries(windows))
      for (const colorScheme of ["light", "dark"]) {
        const strangers = ["login", "register"];
        const reader = await someone({ ...options, colorScheme, storageState: state }, ["404"]);
        const stranger = await someone({ ...options, colorScheme });
        for (const [name, address] of Object.entries(pages)) {
          const who = strangers.includes(name) ? stranger : reader;
          await who.goto(address);
          await inspect(who, `${name} ${size} ${colorScheme}`);
          await look(who, `${name}-${size}-${colorScheme}`, colorScheme);
        }
        await reader.context().close();
        await stranger.context().close();
      }
  });
}

let failure;
try {
  await flow();
  assert.deepEqual(complaints, [], "consoles complained");
  assert(!said.includes("panic"), said);
} catch (error) {
  failure = error;
  for (const [name, page] of Object.entries({ anna, watcher }))
    await page.screenshot({ path: path.join(pictures, `failed-${name}.png`) }).catch(() => {});
} finally {
  await browser.close();
  const code = await stop();
  if (!failure && code !== 0) failure = new Error(`the server ended with ${code}: ${said}`);
  fs.rmSync(folder, { recursive: true, force: true });
}
if (failure) {
  console.error(failure);
  if (complaints.length) console.error("complaints:", complaints);
  console.error("the server said:", said);
  process.exit(1);
}
console.log(`${steps.length} steps, ${fs.readdirSync(pictures).length} pictures in ${path.relative(".", pictures)}`);
