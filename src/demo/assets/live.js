// The live page: puts quotes in as they are added. The page is whole without it.
"use strict";

const list = document.getElementById("live");
const state = document.getElementById("state");
const news = document.getElementById("news");
const most = Number(list.dataset.most);

const say = (text, on) => {
  state.textContent = text;
  state.classList.toggle("on", on);
};
const cards = (html) => new DOMParser().parseFromString(html, "text/html").querySelectorAll("[data-quote]");
const shown = (id) => list.querySelector(`[data-quote="${Number(id)}"]`);

function put(card, isNews) {
  const old = shown(card.dataset.quote);
  if (old) {
    old.replaceWith(card);
    return;
  }
  // The newest has the highest number, and the first place.
  const next = [...list.children].find((other) => Number(other.dataset.quote) < Number(card.dataset.quote));
  list.insertBefore(card, next ?? null);
  if (isNews) {
    card.classList.add("fresh");
    news.textContent = `New: ${card.querySelector("blockquote").textContent.trim()}`;
  }
  while (list.children.length > most) list.lastElementChild.remove();
}

// What was changed while nobody listened is in the page itself, read once more.
async function catchUp() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = [...cards(await answer.text())];
  const ids = new Set(fresh.map((card) => card.dataset.quote));
  for (const card of [...list.children]) if (!ids.has(card.dataset.quote)) card.remove();
  for (const card of fresh) put(card, !shown(card.dataset.quote));
}

const events = new EventSource(list.dataset.events);
events.addEventListener("open", () => {
  say("Listening.", true);
  catchUp().catch(() => {});
});
events.addEventListener("error", () => say("The line is cut; trying again …", false));
events.addEventListener("added", (event) => {
  for (const card of cards(JSON.parse(event.data).html)) put(card, true);
});
events.addEventListener("changed", (event) => {
  for (const card of cards(JSON.parse(event.data).html)) if (shown(card.dataset.quote)) put(card, false);
});
events.addEventListener("removed", (event) => shown(JSON.parse(event.data).id)?.remove());
say("Connecting …", false);
