"use strict";

/* The desk without reloading: the page's regions (data-live) are asked for again when the server
   says that something changed, and only what differs is swapped. What she is writing stays. */

const parse = (html) => new DOMParser().parseFromString(html, "text/html");
const region = (name, root = document) => root.querySelector(`[data-live="${name}"]`);
const news = document.getElementById("news");

function say(text) {
  if (news && text) { news.textContent = ""; news.textContent = text; }
}

/* Lists keep their untouched entries, so that focus and a screen reader's place survive. */
function merge(old, fresh) {
  const kept = new Map([...old.children].map((child) => [child.id, child]));
  let place = null;
  for (const child of [...fresh.children]) {
    const before = kept.get(child.id);
    let now = before;
    kept.delete(child.id);
    if (!before) now = document.importNode(child, true);
    else if (before.outerHTML !== child.outerHTML) {
      now = document.importNode(child, true);
      const focused = before.contains(document.activeElement);
      before.replaceWith(now);
      if (focused) (now.querySelector("a, button") || now).focus();
    }
    const next = place ? place.nextElementSibling : old.firstElementChild;
    if (next !== now) old.insertBefore(now, next);
    place = now;
  }
  for (const gone of kept.values()) gone.remove();
}

function swapList(old, fresh) {
  for (const box of document.querySelectorAll("[name=form_token]")) box.value = fresh.dataset.token;
  const lists = fresh.querySelectorAll("[data-merge]");
  old.querySelectorAll("[data-merge]").forEach((list, n) => merge(list, lists[n]));
  const titles = fresh.querySelectorAll("h2");
  old.querySelectorAll("h2").forEach((title, n) => {
    if (title.innerHTML !== titles[n].innerHTML) title.innerHTML = titles[n].innerHTML;
  });
  const [closed, closedNow] = [old.querySelector(".closed"), fresh.querySelector(".closed")];
  if (closed && closedNow) closedNow.open = closed.open;
  if (closed && closedNow && closed.innerHTML !== closedNow.innerHTML) closed.replaceWith(closedNow);
  else if (closed && !closedNow) closed.remove();
  else if (!closed && closedNow) old.lastElementChild.append(closedNow);
  const more = Number(fresh.dataset.waiting) - Number(old.dataset.waiting);
  if (more > 0) { say(news.dataset.waits); beep(); }
  old.dataset.waiting = fresh.dataset.waiting;
  old.dataset.news = fresh.dataset.news;
  mark();
}

function swapMessages(old, fresh) {
  const atEnd = old.scrollHeight - old.scrollTop - old.clientHeight < 80;
  const hers = (root) => root.querySelectorAll(".message.woman").length;
  const more = hers(fresh) > hers(old);
  merge(old.querySelector("ol"), fresh.querySelector("ol"));
  if (atEnd) old.scrollTop = old.scrollHeight;
  if (more) { say(news.dataset.new); beep(); }
}

function apply(fresh) {
  for (const now of fresh.querySelectorAll("[data-live]")) {
    const old = region(now.dataset.live);
    if (!old) continue;
    if (now.dataset.live === "list") swapList(old, now);
    else if (now.dataset.live === "messages") swapMessages(old, now);
    else if (now.dataset.live === "write") {
      if (old.dataset.state !== now.dataset.state) leaveWriting(old, now);
    } else if (now.dataset.live === "problem") continue;
    else if (old.outerHTML !== now.outerHTML) swapWhole(old, now);
  }
}

function swapWhole(old, now) {
  const focused = old.contains(document.activeElement);
  old.replaceWith(now);
  if (focused) (now.querySelector("a") || document.getElementById("main")).focus();
}

/* The case was closed while she wrote: her text is not thrown away. */
function leaveWriting(old, now) {
  const text = [...old.querySelectorAll("textarea")].map((box) => box.value.trim()).filter(Boolean);
  old.replaceWith(now);
  if (text.length) {
    const kept = document.createElement("textarea");
    kept.readOnly = true;
    kept.value = text.join("\n\n");
    now.append(kept);
  }
}

function problem(text) {
  const box = region("problem");
  if (!box) return;
  box.textContent = text || "";
  box.hidden = !text;
}

/* --- asking again --- */

const over = document.getElementById("ended");
const ended = () => { over.hidden = false; lost(false); };
const lost = (yes) => { document.getElementById("lost").hidden = !yes || !over.hidden; };

async function ask(url) {
  const answer = await fetch(url, { headers: { Accept: "text/html" }, cache: "no-store" });
  if (answer.status === 401) ended();
  if (!answer.ok) return answer.status;
  over.hidden = true;
  apply(parse(await answer.text()));
  return 200;
}

let asking = false;
let again = false;

async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    do {
      again = false;
      const open = document.body.dataset.open;
      await ask(`/desk/list?open=${encodeURIComponent(open)}`);
      if (open && region("write")?.dataset.state === "waiting" && !document.getElementById(`w-${open}`)) {
        location.assign("/desk"); // a colleague has it now
        return;
      }
      if (open) {
        const status = await ask(`/desk/case/${encodeURIComponent(open)}/live`);
        if (status === 403 || status === 404) { location.assign("/desk"); return; }
        await look();
      }
      lost(false);
    } while (again);
  } catch { lost(true); } finally { asking = false; }
}

/* She has read it only if the page is really before her eyes. */
async function look() {
  const head = region("head");
  if (!head || head.dataset.unread === "0" || document.visibilityState !== "visible") return;
  const token = document.querySelector("[name=form_token]").value;
  head.dataset.unread = "0";
  await fetch(`/desk/case/${encodeURIComponent(head.dataset.case)}/looked`,
    { method: "POST", body: new URLSearchParams({ form_token: token }) });
}

function listen() {
  const live = new EventSource("/desk/live");
  live.onmessage = refresh;
  live.onerror = () => {
    if (live.readyState !== EventSource.CLOSED) return lost(true);
    refresh();
    setTimeout(listen, 5000);
  };
}

/* --- sending --- */

async function send(form) {
  const button = form.querySelector("button");
  const box = form.querySelector("textarea");
  if (button.disabled || !box.value.trim()) return box.focus();
  const label = button.textContent;
  const text = box.value;
  button.disabled = true;
  button.textContent = button.dataset.busy;
  problem("");
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const fresh = parse(await answer.text());
    if (answer.ok && region("messages", fresh)) {
      if (box.value === text) box.value = "";
      const key = fresh.querySelector(`form[data-send="${form.dataset.send}"] [name=key]`);
      if (key) form.elements.key.value = key.value;
      apply(fresh);
      const messages = region("messages");
      messages.scrollTop = messages.scrollHeight;
      say(news.dataset.sent);
    } else if (answer.ok) ended();
    else {
      const told = fresh.querySelector("[data-refusal]") || region("problem", fresh);
      problem(told ? told.textContent : button.dataset.lost);
      apply(fresh);
    }
  } catch { problem(button.dataset.lost); }
  button.disabled = false;
  button.textContent = label;
  // Who writes a note by now must not find herself in the answer to the woman.
  const nowhere = [null, document.body, button].includes(document.activeElement);
  if (nowhere) box.focus();
}

/* --- sound and title: they say that something is there, never what --- */

const title = document.title;
const mark = () => {
  const list = region("list");
  const count = list ? Number(list.dataset.news) : 0;
  document.title = count ? `(${count}) ${title}` : title;
};

let audio = null;
const soundButton = document.getElementById("sound");

function sound(on) {
  soundButton.setAttribute("aria-pressed", String(on));
  soundButton.querySelector("span").textContent = on ? soundButton.dataset.on : soundButton.dataset.off;
  if (on && !audio) audio = new AudioContext();
}

function beep() {
  if (!soundButton || soundButton.getAttribute("aria-pressed") !== "true") return;
  const [tone, volume] = [audio.createOscillator(), audio.createGain()];
  tone.frequency.value = 528;
  volume.gain.setValueAtTime(0.12, audio.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.6);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.6);
}

/* --- at the keyboard --- */

/* What was said last stays in sight while the box below grows. */
function stayAtEnd(messages) {
  let atEnd = true;
  const follow = () => { if (atEnd) messages.scrollTop = messages.scrollHeight; };
  messages.addEventListener("scroll", () => {
    atEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
  });
  new ResizeObserver(() => follow()).observe(messages);
  follow();
}

function desk() {
  mark();
  const messages = region("messages");
  if (messages) stayAtEnd(messages);
  const reply = document.getElementById("reply");
  if (reply && matchMedia("(min-width: 48.01rem)").matches) reply.focus();
  soundButton.hidden = false;
  soundButton.addEventListener("click", () => {
    sound(soundButton.getAttribute("aria-pressed") !== "true");
    beep();
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-send]")) return;
    event.preventDefault();
    send(event.target);
  });
  document.addEventListener("keydown", (event) => {
    const form = event.target.closest("[data-send]");
    if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      send(form);
    }
    const box = event.target.closest("details[open]");
    if (box && event.key === "Escape") {
      box.open = false;
      box.querySelector("summary").focus();
    }
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  setInterval(refresh, 30000);
  listen();
}

/* The invitation's token stands after `#`: it is sent in a form, and leaves the address. */
function invite(form) {
  const token = location.hash.slice(1);
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  form.elements.token.value = token;
  form.submit();
}

/* A form is sent once, however often its button is pressed. */
function once() {
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "1";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
}

if (document.body.hasAttribute("data-desk")) desk();
const invitation = document.querySelector("[data-invite]");
if (invitation) invite(invitation);
once();
