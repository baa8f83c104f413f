"use strict";

/* What a script can make easier on the staff pages; each works without it. */

for (const button of document.querySelectorAll("[data-copy]")) {
  const box = document.getElementById(button.dataset.copy);
  button.hidden = !navigator.clipboard;
  box.addEventListener("focus", () => box.select());
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(box.value);
    document.getElementById(`${box.id}-copied`).textContent = button.dataset.done;
  });
}

/* The hours of a day are asked for only where there are any. */
for (const hours of document.querySelectorAll("[data-hours]")) {
  const kinds = hours.form.elements.kind;
  const show = () => { hours.hidden = kinds.value !== "other"; };
  for (const kind of kinds) kind.addEventListener("change", show);
  show();
}

/* How things stand is asked for again while the page is open. Where the state is another, what can
   be done is another, too: then the whole page begins anew. */
const AGAIN_SECONDS = 20;

async function again(box) {
  try {
    const answer = await fetch(box.dataset.again, { cache: "no-store", signal: AbortSignal.timeout?.(15000) });
    const fresh = answer.ok
      && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(box.id);
    if (fresh && fresh.dataset.state !== box.dataset.state) location.replace(location.pathname);
    else if (fresh && fresh.innerHTML !== box.innerHTML) box.replaceChildren(...fresh.childNodes);
  } catch { /* the next time */ }
}

for (const box of document.querySelectorAll("[data-again]")) {
  box.classList.add("live");
  setInterval(again, (box.dataset.seconds ?? AGAIN_SECONDS) * 1000, box);
}
