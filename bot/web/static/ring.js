"use strict";

/* The bell of an open desk: a sound, a mark in the title, a notification. They say that something
   is there, never what. It rings when a case appears or its number (data-bell) rises, and for new
   words; what has rung is kept for this tab, so that changing the page swallows no ring. */

const ring = (() => {
  const title = document.title;
  const button = document.getElementById("sound");
  const news = document.getElementById("news");
  let audio = null;
  let last = -Infinity;
  let notice = null;

  /* --- when --- */

  const figures = (card) => ({
    bell: Number(card.dataset.bell || 0),
    unread: Number(card.dataset.unread || 0),
    passed: "passed" in card.dataset,
  });

  function heard(list) {
    const before = JSON.parse(sessionStorage.getItem("rung") || "null");
    const now = {};
    let what = "";
    for (const card of list.querySelectorAll(".card[data-bell]")) {
      const is = now[card.id] = figures(card);
      const was = before?.[card.id];
      if (!before) continue; // whoever has just come in sees what is there
      if (!was && card.matches(".waits")) what = "waits";
      else if (is.passed && !was?.passed) what ||= "passed";
      else if (was && is.unread > was.unread) what ||= "new";
      else if (was && is.bell > was.bell) what ||= "rings";
    }
    sessionStorage.setItem("rung", JSON.stringify(now));
    mark(Number(list.dataset.news));
    if (what) call(what);
  }

  function call(what) {
    desk.say(news.dataset[what]);
    const now = performance.now();
    if (what === "new" && now - last < 1500) return; // the list and the open case tell the same
    if (what === "new") last = now;
    sound();
    notify();
  }

  function mark(count) {
    document.title = count ? `(${count}) ${title}` : title;
    if (!count) notice?.close();
  }

  /* --- the sound: browsers let it out only after something was pressed --- */

  const wanted = () => sessionStorage.getItem("sound") !== "off";
  const state = () => (!wanted() ? "off" : audio?.state === "running" ? "on" : "wait");

  function show() {
    button.dataset.state = state();
    button.setAttribute("aria-pressed", String(wanted()));
    button.querySelector("span").textContent = button.dataset[state()];
  }

  async function wake() {
    if (!wanted()) return;
    if (!audio) {
      audio = new AudioContext();
      audio.addEventListener("statechange", show);
    }
    if (navigator.userActivation?.hasBeenActive !== false) await audio.resume();
    show();
  }

  function press() {
    if (state() === "wait") return wake().then(sound);
    sessionStorage.setItem("sound", wanted() ? "off" : "on");
    show();
    return wake().then(sound);
  }

  function sound() {
    if (state() !== "on") return;
    for (const [after, height] of [[0, 523], [0.25, 659], [0.5, 523]]) {
      const [tone, volume, at] = [audio.createOscillator(), audio.createGain(), audio.currentTime + after];
      tone.frequency.value = height;
      volume.gain.setValueAtTime(0.15, at);
      volume.gain.exponentialRampToValueAtTime(0.001, at + 0.6);
      tone.connect(volume).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.6);
    }
  }

  /* --- the notification: one, without content, and none for whoever is looking --- */

  const has = () => "Notification" in window && sessionStorage.getItem("notices") !== "never";
  const allowed = () => has() && Notification.permission === "granted" && sessionStorage.getItem("notices") !== "off";

  function notify() {
    if (allowed() && !(document.visibilityState === "visible" && document.hasFocus())) give();
  }

  function give() {
    try {
      notice = new Notification(news.dataset.noticeTitle,
        { body: news.dataset.noticeText, tag: "desk", renotify: true });
      notice.onclick = () => { window.focus(); notice.close(); };
    } catch { // a phone's browser has the word, but shows none from a page: the sound remains
      sessionStorage.setItem("notices", "never");
      showNotices();
    }
  }

  function showNotices() {
    const [press, told] = [document.getElementById("notices"), document.getElementById("notices-state")];
    if (!press) return;
    const denied = has() && Notification.permission === "denied";
    told.textContent = !has() ? told.dataset.never : denied ? told.dataset.denied : allowed() ? told.dataset.on : "";
    press.hidden = !has() || denied;
    press.textContent = allowed() ? press.dataset.off : press.dataset.on;
  }

  async function pressNotices() {
    sessionStorage.setItem("notices", allowed() ? "off" : "on");
    if (Notification.permission === "default") await Notification.requestPermission();
    if (allowed()) give(); // she sees one, or that this browser has none
    showNotices();
  }

  function begin() {
    button.hidden = false;
    button.addEventListener("click", press);
    document.getElementById("notices")?.addEventListener("click", pressNotices);
    for (const gesture of ["pointerdown", "keydown"]) {
      document.addEventListener(gesture, (event) => {
        if (state() === "wait" && !button.contains(event.target)) wake();
      });
    }
    window.addEventListener("focus", () => notice?.close());
    wake();
    show();
    showNotices();
  }

  return { begin, heard, call };
})();
