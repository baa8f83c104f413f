"use strict";

/* Prepared answers: pressed in their list, or found by typing "/" and letters in the reply box.
   They only fill the box. */

const answers = (() => {
  const MOST = 6;
  const box = () => document.getElementById("reply");
  const found = () => document.getElementById("found");
  const all = () => [...document.querySelectorAll(".answers button")].map((button) => ({
    shortcut: button.dataset.shortcut,
    text: button.querySelector("span").textContent,
    language: button.lang,
  }));
  let matches = [];
  let chosen = 0;

  /* Where "/letters" stands before the cursor; null where none does. */
  function asked(area) {
    const before = area.value.slice(0, area.selectionStart);
    const match = /(?:^|\s)\/(\S{0,30})$/.exec(before);
    return match && { letters: match[1].toLowerCase(), from: before.length - match[1].length - 1 };
  }

  function look() {
    const area = box();
    const question = area.selectionStart === area.selectionEnd ? asked(area) : null;
    if (!question) return close();
    const rank = ({ shortcut, text }) => (shortcut.toLowerCase().startsWith(question.letters) ? 0
      : text.toLowerCase().includes(question.letters) ? 1 : 2);
    matches = all().filter((each) => rank(each) < 2).sort((a, b) => rank(a) - rank(b)).slice(0, MOST);
    if (!matches.length) return close();
    const opened = found().hidden;
    found().replaceChildren(...matches.map(option));
    found().hidden = false;
    const roles = { role: "combobox", "aria-autocomplete": "list", "aria-controls": "found", "aria-expanded": "true" };
    for (const [name, value] of Object.entries(roles)) area.setAttribute(name, value);
    choose(0);
    if (opened) desk.say(found().dataset.told.replace("#", matches.length));
  }

  function option(answer, number) {
    const item = document.createElement("li");
    const name = document.createElement("strong");
    name.textContent = `/${answer.shortcut}`;
    item.append(name, ` ${answer.text}`);
    Object.assign(item, { id: `found-${number}`, lang: answer.language });
    item.setAttribute("role", "option");
    return item;
  }

  function choose(number) {
    chosen = (number + matches.length) % matches.length;
    [...found().children].forEach((item, n) => item.setAttribute("aria-selected", String(n === chosen)));
    box().setAttribute("aria-activedescendant", `found-${chosen}`);
    found().children[chosen].scrollIntoView({ block: "nearest" });
  }

  function close() {
    if (!found() || found().hidden) return;
    found().hidden = true;
    matches = [];
    for (const name of ["role", "aria-autocomplete", "aria-controls", "aria-expanded", "aria-activedescendant"]) {
      box().removeAttribute(name);
    }
  }

  function insert(text, from, to) {
    const area = box();
    area.setRangeText(text, from, to, "end");
    close();
    area.focus();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function take(number) {
    insert(matches[number].text, asked(box()).from, box().selectionStart);
  }

  /* Whether this key was for the list. */
  function key(event) {
    if (!matches.length || event.target !== box() || event.ctrlKey || event.metaKey) return false;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey)) take(chosen);
    else if (event.key === "Escape") close();
    else return false;
    event.preventDefault();
    return true;
  }

  function begin() {
    document.addEventListener("input", (event) => { if (event.target === box()) look(); });
    document.addEventListener("focusout", (event) => { if (event.target === box()) close(); });
    document.addEventListener("pointerdown", (event) => {
      const item = event.target.closest("#found [role=option]");
      if (!item) return;
      event.preventDefault();
      take([...found().children].indexOf(item));
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest(".answers button");
      if (!button) return;
      event.preventDefault();
      button.closest("details").open = false;
      const area = box();
      const before = area.value.slice(0, area.selectionStart);
      const apart = before && !/\s$/.test(before) ? " " : "";
      insert(apart + button.querySelector("span").textContent, area.selectionStart, area.selectionEnd);
    });
  }

  return { begin, key };
})();
