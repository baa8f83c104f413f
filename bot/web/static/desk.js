"use strict";

/* The desk without reloading: the page's regions (data-live) are asked for again when the server
   says that something changed, and only what differs is swapped. What she is writing stays. The
   files that this page loads before it each do one thing; here they are begun. */

const desk = (() => {
  const parse = (html) => new DOMParser().parseFromString(html, "text/html");
  const region = (name, root = document) => root.querySelector(`[data-live="${name}"]`);
  const news = document.getElementById("news");
  const within = (seconds) => AbortSignal.timeout?.(seconds * 1000); // a line that hangs is lost, too

  /* The same words twice are news twice. */
  function say(text) {
    if (text) news.textContent = news.textContent === text ? `${text}\u00a0` : text;
  }

  function problem(text) {
    const box = region("problem");
    if (!box) return;
    box.textContent = text || "";
    box.hidden = !text;
  }

  /* --- swapping --- */

  const CONTROLS = "a[href], button, summary, input:not([type=hidden]), textarea";

  const standing = (box) => [...box.querySelectorAll(CONTROLS)].indexOf(document.activeElement);

  function refocus(box, place) {
    const controls = box.querySelectorAll(CONTROLS);
    const next = controls[Math.min(Math.max(place, 0), controls.length - 1)];
    (next || document.getElementById("main")).focus();
  }

  /* Where the focus stood in what is replaced, it stands again. */
  function exchange(before, now) {
    const place = standing(before);
    const inside = before.contains(document.activeElement);
    before.replaceWith(now);
    if (inside) refocus(now, place);
  }

  /* Lists keep their untouched entries, so that focus and a screen reader's place survive; and
     one that she is just correcting stays as it is until she is done. */
  function merge(old, fresh) {
    const held = [...old.children].find((child) => child.contains(document.activeElement));
    const stood = held && standing(held);
    const kept = new Map([...old.children].map((child) => [child.id, child]));
    let place = null;
    for (const child of [...fresh.children]) {
      const before = kept.get(child.id);
      let now = before;
      kept.delete(child.id);
      if (!before) now = document.importNode(child, true);
      else if (before.outerHTML !== child.outerHTML && !before.querySelector("details[open]")) {
        now = document.importNode(child, true);
        exchange(before, now);
      }
      const next = place ? place.nextElementSibling : old.firstElementChild;
      if (next !== now) old.insertBefore(now, next);
      place = now;
    }
    for (const gone of kept.values()) {
      const inside = gone.contains(document.activeElement);
      gone.remove();
      if (inside) (old.querySelector("a") || document.getElementById("main")).focus();
    }
    // An entry that changes its place among the others loses the focus on the way.
    const moved = held && document.activeElement === document.body && document.getElementById(held.id);
    if (moved) refocus(moved, stood);
  }

  function swapList(old, fresh) {
    for (const box of document.querySelectorAll("[name=form_token]")) box.value = fresh.dataset.token;
    const lists = fresh.querySelectorAll("section > [data-merge]");
    old.querySelectorAll("section > [data-merge]").forEach((list, n) => merge(list, lists[n]));
    const titles = fresh.querySelectorAll("h2");
    old.querySelectorAll("h2").forEach((title, n) => {
      if (title.innerHTML !== titles[n].innerHTML) title.innerHTML = titles[n].innerHTML;
    });
    const [closed, closedNow] = [old.querySelector(".closed"), fresh.querySelector(".closed")];
    if (closed && closedNow) closedNow.open = closed.open;
    if (closed && closedNow && closed.innerHTML !== closedNow.innerHTML) exchange(closed, closedNow);
    else if (closed && !closedNow) closed.remove();
    else if (!closed && closedNow) lists.length && old.querySelectorAll("section")[1].append(closedNow);
    old.dataset.news = fresh.dataset.news;
    document.getElementById("stopped").hidden = !("stopped" in fresh.dataset);
    ring.heard(old);
    drafts.sweep(old);
  }

  function swapMessages(old, fresh) {
    const atEnd = old.scrollHeight - old.scrollTop - old.clientHeight < 80;
    const hers = (root) => root.querySelectorAll(".message.woman").length;
    const more = hers(fresh) > hers(old);
    merge(old.querySelector("ol"), fresh.querySelector("ol"));
    if (atEnd) old.scrollTop = old.scrollHeight;
    if (more) ring.call("new");
  }

  function apply(fresh) {
    for (const now of fresh.querySelectorAll("[data-live]")) {
      const old = region(now.dataset.live);
      if (!old || now.dataset.live === "problem") continue;
      if (now.dataset.live === "list") swapList(old, now);
      else if (now.dataset.live === "messages") swapMessages(old, now);
      else if ("state" in now.dataset) {
        if (old.dataset.state !== now.dataset.state) leave(old, now);
        else swapAnswers(old, now);
      } else if (old.outerHTML !== now.outerHTML) exchange(old, now);
    }
    const head = region("head");
    for (const box of document.querySelectorAll("[name=seen]")) box.value = head.dataset.upto;
  }

  /* The woman reads in another language now: so do the answers that are ready for her. */
  function swapAnswers(old, fresh) {
    const [box, boxNow] = [old, fresh].map((root) => root.querySelector(".prepared-box"));
    if (box && boxNow && box.innerHTML !== boxNow.innerHTML) box.innerHTML = boxNow.innerHTML;
  }

  /* The case was closed or claimed while she wrote: her text is not thrown away. */
  function leave(old, now) {
    const text = [...old.querySelectorAll("textarea")].map((box) => box.value.trim()).filter(Boolean);
    const label = old.querySelector("label")?.textContent;
    exchange(old, now);
    voice.drop();
    if (now.querySelector("#reply")) {
      drafts.restore();
      voice.begin();
    } else if (text.length) {
      const kept = document.createElement("textarea");
      kept.readOnly = true;
      kept.value = text.join("\n\n");
      kept.setAttribute("aria-label", label);
      now.append(kept);
    }
  }

  /* --- asking again --- */

  const over = document.getElementById("ended");
  const dropped = document.getElementById("lost");

  function lost(yes) {
    const hide = !yes || !over.hidden;
    if (hide && !dropped.hidden && over.hidden) say(dropped.dataset.back);
    dropped.hidden = hide;
  }

  function ended() {
    over.hidden = false;
    lost(false);
  }

  async function ask(url) {
    const answer = await fetch(url,
      { headers: { Accept: "text/html" }, cache: "no-store", signal: within(15) });
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
        const { open, ask: also } = document.body.dataset;
        await ask(`/desk/list?open=${encodeURIComponent(open)}`);
        if (open && region("write")?.dataset.state === "waiting" && !document.getElementById(`w-${open}`)
          && !document.getElementById(`c-${open}`)) {
          location.assign("/desk"); // a colleague has it now
          return;
        }
        if (also) {
          const status = await ask(also);
          if (status === 403 || status === 404) { location.assign("/desk"); return; }
          await look();
        }
        lost(false);
      } while (again);
    } catch { lost(true); } finally { asking = false; }
    if (again) refresh(); // asked for while the last one failed: the line may be back by now
  }

  const ATTENDED = 120000; // milliseconds in which a hand at the page says that eyes are, too
  let touched = -Infinity;

  /* She has read it only if the page is really before her eyes, and somebody sits at it. */
  async function look() {
    const head = region("head");
    if (!head || head.dataset.unread === "0" || document.visibilityState !== "visible") return;
    if (Date.now() - touched > ATTENDED) return;
    head.dataset.unread = "0";
    await tell(`/desk/case/${encodeURIComponent(head.dataset.case)}/looked`, { upto: head.dataset.upto });
  }

  function attend(event) {
    // What moves under a hand that rests makes browsers tell of a pointer that moved by nothing.
    if (event.type === "pointermove" && !event.movementX && !event.movementY) return;
    touched = Date.now();
    look().catch(() => {}); // the next look of the page at its case tries again
  }

  /* A press without an answer of its own: whether it was done. */
  async function tell(url, more = {}) {
    const form_token = document.querySelector("[name=form_token]").value;
    const body = new URLSearchParams({ form_token, ...more });
    const answer = await fetch(url, { method: "POST", body, signal: within(15) });
    return answer.ok && new URL(answer.url).pathname !== "/login";
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

  /* Post a form by hand. The key changes only with an answer: what failed can be repeated, and
     reaches her once. Gives "sent", "lost", "ended", or the status of a refusal. */
  async function post(form, body, button) {
    if (button.disabled) return "busy";
    const label = button.textContent;
    button.disabled = true;
    button.textContent = button.dataset.busy;
    problem("");
    try {
      const answer = await fetch(form.action, { method: "POST", body, signal: within(60) });
      const html = await answer.text();
      const fresh = parse(html);
      const key = fresh.querySelector(`form[data-send="${form.dataset.send}"] [name=key]`);
      if (key) form.elements.key.value = key.value;
      if (answer.ok && !region("messages", fresh)) {
        ended();
        return "ended";
      }
      apply(fresh);
      if (answer.ok) {
        const messages = region("messages");
        if (messages) messages.scrollTop = messages.scrollHeight;
        say(news.dataset.sent);
        return "sent";
      }
      refused(html, button.dataset.lost);
      return answer.status;
    } catch {
      problem(button.dataset.lost);
      return "lost";
    } finally {
      button.disabled = false;
      button.textContent = label;
    }
  }

  function refused(html, otherwise) {
    const fresh = parse(html);
    const told = fresh.querySelector("[data-refusal]") || region("problem", fresh);
    problem(told ? told.textContent : otherwise);
  }

  /* A note that is kept makes room again for what is said to her. */
  function fold(box, button) {
    const inside = [null, document.body, button].includes(document.activeElement) || box.contains(document.activeElement);
    box.open = false;
    if (inside) box.querySelector("summary").focus();
  }

  async function send(form) {
    const box = form.elements.text;
    const button = form.querySelector("button[data-busy]");
    const text = box.value;
    if (!text.trim()) return box.focus();
    const outcome = await post(form, new URLSearchParams(new FormData(form)), button);
    if (outcome === "sent" && box.value === text) box.value = "";
    if (form.isConnected) drafts.keep(form);
    const folded = form.closest("details");
    if (outcome === "sent" && folded && !box.value) return fold(folded, button);
    // Who writes a note by now must not find herself in the answer to the woman.
    if ([null, document.body, button].includes(document.activeElement)) box.focus();
  }

  /* --- the page --- */

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

  /* Where the keyboard covers the page instead of making it smaller, the page makes itself so. */
  function aboveKeyboard() {
    visualViewport.addEventListener("resize", () => {
      if (visualViewport.scale > 1.01) return; // she has only come closer
      document.body.style.setProperty("--high", `${visualViewport.height}px`);
      window.scrollTo(0, 0);
    });
  }

  function key(event) {
    if (answers.key(event)) return;
    const form = event.target.closest("[data-send]");
    if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
    const box = event.target.closest("details[open]");
    if (box && event.key === "Escape") {
      box.open = false;
      box.querySelector("summary").focus();
    }
  }

  function begin() {
    for (const one of [drafts, answers, medium, voice, keys, ring]) one.begin();
    ring.heard(region("list"));
    const messages = region("messages");
    if (messages) stayAtEnd(messages);
    const reply = document.getElementById("reply");
    if (reply && matchMedia("(min-width: 48.01rem)").matches) reply.focus();
    aboveKeyboard();
    document.addEventListener("submit", (event) => {
      const form = event.target;
      if (!form.matches("[data-send]")) return;
      event.preventDefault();
      if (form.id === "voice") voice.send();
      else send(form);
    });
    document.addEventListener("keydown", key);
    for (const sign of ["pointerdown", "pointermove", "keydown", "touchstart", "wheel"]) {
      document.addEventListener(sign, attend, { capture: true, passive: true });
    }
    window.addEventListener("focus", attend);
    document.addEventListener("toggle", (event) => {
      if (event.target.matches(".more > [open]")) event.target.scrollIntoView({ block: "nearest" });
    }, true);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
    window.addEventListener("offline", () => { lost(true); refresh(); });
    window.addEventListener("online", refresh);
    setInterval(refresh, 30000);
    listen();
  }

  return { begin, say, problem, refused, ended, tell, post, within };
})();

desk.begin();
