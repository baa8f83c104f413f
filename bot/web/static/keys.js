"use strict";

/* The desk by keyboard. Letters are told by their place, so that they work on a Bulgarian layout,
   and can be turned off for this tab: who speaks to her computer presses none. */

const keys = (() => {
  const help = document.getElementById("keys");
  const off = document.getElementById("keys-off");
  const stops = () => [...document.querySelectorAll(".list .card > a")].filter((link) => link.getClientRects().length);

  function move(step) {
    const links = stops();
    const card = document.activeElement.closest?.(".card");
    const from = links.findIndex((link) => (card ? card.contains(link) : link.hasAttribute("aria-current")));
    const to = from < 0 ? (step > 0 ? 0 : links.length - 1) : from + step;
    links[Math.min(Math.max(to, 0), links.length - 1)]?.focus();
  }

  function reply() {
    document.querySelector(".more > [open]")?.removeAttribute("open"); // it may stand in its place
    document.getElementById("reply")?.focus();
  }

  function note() {
    const box = document.querySelector(".note-box");
    if (!box) return;
    box.open = true;
    document.getElementById("note").focus();
  }

  const LETTERS = {
    KeyJ: () => move(1),
    KeyK: () => move(-1),
    KeyR: reply,
    KeyN: note,
  };

  function press(event) {
    const writing = event.target.matches("input, textarea, select, audio");
    if (writing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const inList = event.target.closest(".list");
    const act = event.key === "?" ? () => help.showModal()
      : inList && event.key === "ArrowDown" ? LETTERS.KeyJ
      : inList && event.key === "ArrowUp" ? LETTERS.KeyK
      : LETTERS[event.code];
    const letter = event.key === "?" || act === LETTERS[event.code];
    if (!act || (letter && off.checked)) return;
    event.preventDefault();
    act();
  }

  function begin() {
    off.checked = sessionStorage.getItem("keys") === "off";
    off.addEventListener("change", () => sessionStorage.setItem("keys", off.checked ? "off" : "on"));
    const open = document.getElementById("keys-open");
    open.hidden = false;
    open.addEventListener("click", () => help.showModal());
    document.addEventListener("keydown", press);
  }

  return { begin };
})();
