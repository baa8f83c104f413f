"use strict";

/* A photo or voice of hers is shown once: from memory, in a dialog; the server is told as soon as
   it can be seen or heard here, and destroys it. What this browser cannot show is not destroyed. */

const medium = (() => {
  const dialog = document.getElementById("medium");
  const told = document.getElementById("medium-text");
  const here = document.getElementById("medium-here");
  let address = "";

  async function open(link) {
    if (link.dataset.busy) return;
    link.dataset.busy = "1";
    try {
      const answer = await fetch(link.href, { cache: "no-store", signal: desk.within(60) });
      if (answer.redirected) return desk.ended();
      if (!answer.ok) return desk.refused(await answer.text());
      address = URL.createObjectURL(await answer.blob());
      here.replaceChildren(await shown(link.dataset.medium));
      told.textContent = "";
      dialog.showModal();
      const gone = await desk.tell(link.dataset.received).catch(() => false);
      told.textContent = gone ? told.dataset.gone : dialog.dataset.lost;
    } catch (error) {
      desk.problem(error === "broken" ? dialog.dataset.broken : dialog.dataset.lost);
      forget();
    } finally { delete link.dataset.busy; }
  }

  /* The element, once it can really be seen or heard. */
  function shown(kind) {
    const element = document.createElement(kind === "photo" ? "img" : "audio");
    return new Promise((resolve, reject) => {
      element.addEventListener(kind === "photo" ? "load" : "canplay", () => resolve(element), { once: true });
      element.addEventListener("error", () => reject("broken"), { once: true });
      if (kind === "photo") element.alt = document.getElementById("medium-title").textContent;
      else element.controls = true;
      element.src = address;
    });
  }

  function forget() {
    here.replaceChildren();
    URL.revokeObjectURL(address);
    if (document.activeElement === document.body) document.getElementById("messages")?.focus();
  }

  function begin() {
    dialog.addEventListener("close", forget);
    document.addEventListener("click", (event) => {
      const link = event.target.closest("[data-medium]");
      if (!link) return;
      event.preventDefault();
      open(link);
    });
  }

  return { begin };
})();
