"use strict";

/* What is being written survives a reload: for each case and box, in this tab alone, with the key
   of its form, so that what was sent before the reload is not sent twice. It goes when it is sent,
   when the case is no longer hers and open, and at the logout; nothing of it outlives the tab. */

const drafts = (() => {
  const place = (form) => `draft:${document.body.dataset.open}:${form.dataset.send}`;
  const forms = () => document.querySelectorAll("form[data-send]:has(textarea)");

  function keep(form) {
    const [text, key] = [form.elements.text.value, form.elements.key.value];
    if (text) sessionStorage.setItem(place(form), JSON.stringify({ text, key }));
    else sessionStorage.removeItem(place(form));
  }

  /* What the server put into the box (a text that it refused) is newer than what is kept. */
  function restore() {
    for (const form of forms()) {
      const kept = JSON.parse(sessionStorage.getItem(place(form)) || "null");
      if (!kept || form.elements.text.value) continue;
      form.elements.text.value = kept.text;
      form.elements.key.value = kept.key;
      const box = form.closest("details");
      if (box) box.open = true;
    }
  }

  function sweep(list) {
    const mine = new Set([...list.querySelectorAll(".card.mine")].map((card) => card.id.slice(2)));
    for (const name of Object.keys(sessionStorage)) {
      if (name.startsWith("draft:") && !mine.has(name.split(":")[1])) sessionStorage.removeItem(name);
    }
  }

  function begin() {
    if (sessionStorage.getItem("me") !== document.body.dataset.me) sessionStorage.clear();
    sessionStorage.setItem("me", document.body.dataset.me);
    sweep(document.getElementById("list"));
    restore();
    document.addEventListener("input", (event) => {
      const form = event.target.closest("form[data-send]");
      if (form && event.target.name === "text") keep(form);
    });
  }

  return { begin, keep, restore, sweep };
})();
