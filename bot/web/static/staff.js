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
