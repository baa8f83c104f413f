"use strict";

/* Every page behind the login: a form is sent once, an invitation's token leaves the address, and
   a logout takes with it what this browser holds, in all of its tabs. */

const tabs = new BroadcastChannel("desk");

/* The invitation's token stands after `#`: it is sent in a form, and leaves the address. */
function invite(form) {
  const token = location.hash.slice(1);
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  form.elements.token.value = token;
  form.submit();
}

/* A form is sent once, however often its button is pressed. */
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-send], [method=dialog]")) return; // sent by the desk itself
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
  if (event.target.matches(".leave")) {
    sessionStorage.clear();
    tabs.postMessage("out");
  }
});

window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

tabs.addEventListener("message", () => {
  sessionStorage.clear();
  if (document.querySelector(".leave")) location.replace("/login?bye=1");
});

// What was still under way at the logout may have kept something again.
if (location.pathname === "/login" && location.search.includes("bye")) sessionStorage.clear();

const invitation = document.querySelector("[data-invite]");
if (invitation) invite(invitation);
