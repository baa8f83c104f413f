"use strict";

/* A voice note: record, hear, send or throw away. The recording stays in this page's memory until
   it is sent; a send that failed can be repeated with the same key. */

const voice = (() => {
  const KINDS = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
  const part = (name) => document.getElementById(name ? `voice-${name}` : "voice");
  const start = () => document.getElementById("record");
  let recorder = null;
  let chunks = [];
  let recording = null;
  let began = 0;
  let ticking = 0;

  function show(state, told = "") {
    const busy = state !== "none";
    document.querySelector(".write")?.toggleAttribute("data-voice", busy);
    part().hidden = !busy;
    part("stop").hidden = state !== "recording";
    part("send").hidden = part("play").hidden = state !== "ready";
    part().classList.toggle("records", state === "recording");
    part("state").textContent = told;
    (state === "recording" ? part("stop") : state === "ready" ? part("send") : start()).focus();
  }

  async function record() {
    const words = part().dataset;
    desk.problem("");
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return desk.problem(words.noRecorder);
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch { return desk.problem(words.noPermission); }
    const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: 32000 });
    chunks = [];
    recorder.ondataavailable = (event) => chunks.push(event.data);
    recorder.onstop = () => stream.getTracks().forEach((track) => track.stop());
    recorder.start(1000);
    began = Date.now();
    ticking = setInterval(tick, 250);
    tick();
    show("recording", words.recording);
  }

  function tick() {
    if (!part()) return drop();
    const seconds = Math.floor((Date.now() - began) / 1000);
    part("clock").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (seconds >= Number(part().dataset.most)) stop(part().dataset.full);
  }

  function stop(told) {
    clearInterval(ticking);
    const stopped = recorder;
    recorder.addEventListener("stop", () => {
      if (recorder !== stopped) return; // thrown away meanwhile
      recording = new Blob(chunks, { type: recorder.mimeType });
      recorder = null;
      part("play").src = URL.createObjectURL(recording);
      show("ready", told);
    });
    if (recorder.state !== "inactive") recorder.stop();
  }

  /* Nothing is left of it; the next one has a key of its own. */
  function drop() {
    if (!recorder && !recording) return;
    clearInterval(ticking);
    const stopped = recorder;
    recorder = recording = null;
    chunks = [];
    if (stopped && stopped.state !== "inactive") stopped.stop();
    if (!part()) return;
    URL.revokeObjectURL(part("play").src);
    part("play").removeAttribute("src");
    const key = crypto.getRandomValues(new Uint8Array(12));
    part().elements.key.value = Array.from(key, (byte) => byte.toString(16).padStart(2, "0")).join("");
    show("none");
  }

  async function send() {
    if (!recording) return;
    const body = new FormData(part());
    body.append("voice", recording, "voice");
    const outcome = await desk.post(part(), body, part("send"));
    if (outcome === 413) desk.problem(part().dataset.tooLarge);
    if (outcome === "sent") drop();
  }

  function begin() {
    if (start()) start().hidden = false;
    document.addEventListener("click", (event) => {
      const id = event.target.closest("button")?.id;
      if (id === "record") record();
      else if (id === "voice-stop") stop(part().dataset.ready);
      else if (id === "voice-away") drop();
    });
    window.addEventListener("beforeunload", (event) => {
      if (recorder || recording) event.preventDefault();
    });
  }

  return { begin, drop, send };
})();
